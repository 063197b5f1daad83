/** Whether a file system has room for one more build: below the watermark a host takes none. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import type { DiskSpace } from '../shared/disk-space.ts';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { formatSize, parseSize } from '../shared/size.ts';

/** What must be free of a file system: the share or the bytes, whichever is less. */
export interface Watermark {
  readonly share: number;
  readonly bytes: number;
}

export interface Lack {
  readonly reason: string;
  /** Bytes to be freed until there is room for a while; infinite where bytes are not what lacks. */
  readonly missing: number;
}

const usual = '10%,2GiB';

/** Freed beyond the watermark, as a share of it: else the next build lacks again. */
const reserve = 0.25;

/** `10%,2GiB`, or one of the two alone; `0` never minds. Throws `usage`. */
export function readWatermark(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Watermark {
  const name = flag === undefined ? 'ARCHFARM_MIN_FREE' : '--min-free';
  const text = flag ?? (env['ARCHFARM_MIN_FREE'] || usual);
  const mark = { share: Infinity, bytes: Infinity };
  for (const part of text.split(',')) {
    const percent = /^\s*(\d{1,2}(?:\.\d+)?) ?%\s*$/.exec(part)?.[1];
    try {
      if (percent === undefined) mark.bytes = parseSize(part);
      else mark.share = Number(percent) / 100;
    } catch (cause) {
      throw new ArchfarmError('usage', `${name} ${JSON.stringify(text)} is not what must stay free`, {
        hint: `write it like ${usual}, 5% or 500MB`,
        cause,
      });
    }
  }
  return mark;
}

/** Why no build fits on this file system; undefined where one does, or where it cannot be told. */
export async function lackOfSpace(path: string, { share, bytes }: Watermark): Promise<Lack | undefined> {
  let stat: Awaited<ReturnType<typeof statfs>>;
  try {
    stat = await statfs(path);
  } catch (error) {
    // An engine's directory need not be visible here.
    return systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES'
      ? undefined
      : { reason: `${path} cannot be looked at: ${messageOf(error)}`, missing: 0 };
  }
  const { bavail, blocks, bsize, files, ffree } = stat;
  const free = bavail * bsize;
  const least = Math.min(share * blocks * bsize, bytes);
  if (free < least) {
    const reason = `disk: ${formatSize(free)} free at ${path}, less than ${formatSize(least)}`;
    return { reason, missing: Math.ceil(least * (1 + reserve) - free) };
  }
  // Some file systems count none.
  if (least > 0 && files > 0 && ffree === 0) {
    return { reason: `disk: no inode is free at ${path}`, missing: Infinity };
  }
  if (await isReadOnly(path)) {
    const reason = `disk: the file system at ${path} is read-only: dmesg on this host may say why`;
    return { reason, missing: 0 };
  }
  return undefined;
}

/** As the kernel makes one whose disk fails. */
async function isReadOnly(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => false,
    (error: unknown) => systemCode(error) === 'EROFS',
  );
}

/** Whether something could not be written for what `lackOfSpace` tells of: the agent that met it is cordoned, and need not end. */
export function lacksRoom(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS'].includes(systemCode(error) ?? '');
}

/** Of the file systems below these paths, each once; what cannot be looked at is left out. */
export async function diskSpaces(paths: readonly string[]): Promise<DiskSpace[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      try {
        const [{ dev }, { bavail, blocks, bsize }] = await Promise.all([stat(path), statfs(path)]);
        return [[dev, { path, free: bavail * bsize, size: blocks * bsize }] as const];
      } catch {
        return [];
      }
    }),
  );
  // The first path of a file system names it.
  return [...new Map(found.flat().toReversed()).values()].toReversed();
}

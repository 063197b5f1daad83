/** Whether a host has room for one more build: below the watermark it takes none. */
import { statfs } from 'node:fs/promises';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { formatSize, parseSize } from '../shared/size.ts';

/** What must be free of a file system: the share or the bytes, whichever is less. */
export interface Watermark {
  readonly share: number;
  readonly bytes: number;
}

const usual = '10%,2GiB';

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
export async function lackOfSpace(path: string, { share, bytes }: Watermark): Promise<string | undefined> {
  let stat: Awaited<ReturnType<typeof statfs>>;
  try {
    stat = await statfs(path);
  } catch (error) {
    // An engine's directory need not be visible here.
    return systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES'
      ? undefined
      : `${path} cannot be looked at: ${messageOf(error)}`;
  }
  const { bavail, blocks, bsize, files, ffree } = stat;
  const free = bavail * bsize;
  const least = Math.min(share * blocks * bsize, bytes);
  if (free < least) return `disk: ${formatSize(free)} free at ${path}, less than ${formatSize(least)}`;
  // Some file systems count none.
  if (least > 0 && files > 0 && ffree === 0) return `disk: no inode is free at ${path}`;
  return undefined;
}

/**
 * Files in a directory that is a service's own, although root may write them for it: whoever the service runs as may put
 * there what it likes, links to what is root's above all.
 */
import { constants } from 'node:fs';
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { writeWhole } from '../shared/whole-file.ts';

export interface NewFile {
  readonly name: string;
  readonly text: string;
}

/**
 * Makes the directory, and writes these into it: on disk one after the other, never half of one, and for nobody else to
 * read. All of it is given to whoever has the directory around it. Throws `config`.
 */
export async function writeOwned(directory: string, files: readonly NewFile[]): Promise<void> {
  let path = directory;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const owner = await otherOwner(dirname(directory));
    await using held = owner && (await hold(directory));
    if (owner !== undefined) await held?.chown(owner.uid, owner.gid);
    for (const { name, text } of files) {
      path = join(directory, name);
      await writeWhole(join(pathOf(held) ?? directory, name), text, { mode: 0o600, owner });
    }
  } catch (cause) {
    if (cause instanceof ArchfarmError) throw cause;
    throw new ArchfarmError('config', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** For whom root writes; undefined for others, and where it writes for itself. */
async function otherOwner(path: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(path);
  return uid === 0 ? undefined : { uid, gid };
}

/** Throws `config` for a link. */
async function hold(directory: string): Promise<FileHandle> {
  try {
    return await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    if (!['ELOOP', 'ENOTDIR'].includes(systemCode(cause) ?? '')) throw cause;
    throw new ArchfarmError('config', `${directory} is a link, which root does not follow for another user`, {
      hint: 'put a directory in its place, or run this as the user that the agent runs as',
      cause,
    });
  }
}

/** Of the directory that was looked at, whatever has its name by now. */
function pathOf(held: FileHandle | undefined): string | undefined {
  return held && process.platform === 'linux' ? `/proc/self/fd/${held.fd}` : undefined;
}

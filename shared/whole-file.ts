/**
 * Files that are written whole: whoever reads one finds the old text or the new one, also after a crash or a power cut,
 * which without a sync can leave a file that has its name and nothing in it. The new text is never written through a
 * link: somebody else may own the directory.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WholeFileOptions {
  /** Permissions, whatever the umask. */
  readonly mode: number;
  /** Whom the file is given to; undefined: whoever writes it. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Creates, and never opens what is there. */
const fresh = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/** On disk when it resolves. Rejects with the system's error, and the file is as it was. */
export async function writeWhole(
  path: string,
  text: string,
  { mode, owner }: WholeFileOptions,
): Promise<void> {
  const temporary = temporaryFor(path);
  await rm(temporary, { force: true });
  try {
    const file = await open(temporary, fresh, 0o600);
    try {
      await file.writeFile(text);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** The same at once, but for the name: a power cut soon after it may bring the old text back. */
export function writeWholeSync(path: string, text: string, { mode }: Pick<WholeFileOptions, 'mode'>): void {
  const temporary = temporaryFor(path);
  rmSync(temporary, { force: true });
  try {
    const file = openSync(temporary, fresh, 0o600);
    try {
      writeFileSync(file, text);
      fchmodSync(file, mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Two commands may write one file at the same time, each of them whole. */
function temporaryFor(path: string): string {
  return `${path}.${process.pid}.new`;
}

/** Not every file system knows this. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY).catch(() => undefined);
  await directory?.sync().catch(() => {});
  await directory?.close();
}

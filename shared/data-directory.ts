/** The directory in which a coordinator or an agent keeps what it must not lose. */
import { access, constants, mkdir } from 'node:fs/promises';
import { ArchfarmError, messageOf, systemCode } from './errors.ts';

/** What no second try changes; a disk that is full or broken may be well again when a service is restarted. */
const isFinal = new Set(['EACCES', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM']);

export interface DataDirectoryOptions {
  /** One that is there may be on a file system that has become read-only. */
  readonly mayBeReadOnly?: boolean;
}

/** Makes it where it is not there. Throws `config` where it can be none; `settings` is what names another one. */
export async function makeDataDirectory(
  path: string,
  settings: string,
  { mayBeReadOnly = false }: DataDirectoryOptions = {},
): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      if (!mayBeReadOnly || systemCode(error) !== 'EROFS') throw error;
    });
  } catch (cause) {
    if (!isFinal.has(systemCode(cause) ?? '')) throw cause;
    throw new ArchfarmError('config', `the data directory ${path} cannot be used: ${messageOf(cause)}`, {
      hint: `give a directory of your own with ${settings}`,
      cause,
    });
  }
}

/** A full disk is the one fault of a store that its users can mend: they are told in one form, whoever meets it first. */
import { statfsSync } from 'node:fs';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';

/** Bytes. SQLite calls it an error of the disk where it cannot grow its index of the log by a page. */
export const noRoom = 64 * 1024;

/** Runs what writes below the directory; throws `disk-full` where that is what it failed for. */
export function unlessStoreFull<T>(directory: string, write: () => T): T {
  try {
    return write();
  } catch (thrown) {
    if (!isFull(thrown, directory)) throw thrown;
    throw storeFull(directory, thrown);
  }
}

export function storeFull(directory: string, cause?: unknown): ArchfarmError {
  return new ArchfarmError('disk-full', `no space left for builds in ${directory}`, {
    hint: 'free some space on that disk: what runs goes on meanwhile, and its agents keep the results',
    cause,
  });
}

function isFull(thrown: unknown, directory: string): boolean {
  const code = systemCode(thrown) ?? '';
  const message = messageOf(thrown);
  if (['ENOSPC', 'EDQUOT', 'SQLITE_FULL'].includes(code) || /database or disk is full/.test(message))
    return true;
  return /disk I\/O error/.test(message) && availableOn(directory) < noRoom;
}

/** Bytes that may be written on the disk of the directory. */
export function availableOn(directory: string): number {
  const { blocks, bavail, bsize } = statfsSync(directory);
  // Some network file systems do not tell.
  return blocks === 0 ? Infinity : bavail * bsize;
}

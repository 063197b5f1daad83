/** A full disk is the one fault of a store that its users can mend: they are told in one form, whoever meets it first. */
import { statfsSync, statSync } from 'node:fs';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';

/** Bytes. SQLite calls it an error of the disk where it cannot grow its index of the log by a page. */
const nothing = 64 * 1024;

/** What may give up space that it can do without. */
export interface Cache {
  readonly path: string;
  makeRoom(): Promise<unknown>;
}

/**
 * Throws `disk-full` where there is no room for another build. SQLite alone does not tell: it writes on in what it has
 * of the disk, while the build's log has no place.
 */
export async function requireRoom(directory: string, cache: Cache): Promise<void> {
  if (available(directory) >= nothing) return;
  if (statSync(cache.path).dev === statSync(directory).dev) await cache.makeRoom();
  if (available(directory) < nothing) throw full(directory);
}

/** Runs what writes below the directory; throws `disk-full` where that is what it failed for. */
export function unlessStoreFull<T>(directory: string, write: () => T): T {
  try {
    return write();
  } catch (thrown) {
    if (!isFull(thrown, directory)) throw thrown;
    throw full(directory, thrown);
  }
}

function full(directory: string, cause?: unknown): ArchfarmError {
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
  return /disk I\/O error/.test(message) && available(directory) < nothing;
}

function available(directory: string): number {
  const { blocks, bavail, bsize } = statfsSync(directory);
  // Some network file systems do not tell.
  return blocks === 0 ? Infinity : bavail * bsize;
}

/** Out of space is the one fault of a disk that users meet often and can mend themselves. */
import { ArchfarmError, systemCode } from '../errors.ts';

/** Runs what writes below the directory; a disk or quota that is full becomes `disk-full`. */
export async function unlessDiskFull<T>(directory: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') throw error;
    throw new ArchfarmError('disk-full', `no space left for contexts in ${directory}`, {
      hint: 'free some space on that disk or give archfarm a data directory on another',
      cause: error,
    });
  }
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof ArchfarmError && error.code === 'disk-full';
}

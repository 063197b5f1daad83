/** What files hold that somebody else replaces, again whenever that is something new. */
import { unwatchFile, watchFile } from 'node:fs';
import { messageOf } from '../../shared/errors.ts';

export interface FollowedFiles<T> {
  readonly paths: readonly string[];
  /** What they held so far. */
  readonly first: T;
  readonly read: () => Promise<T>;
  /** Differs where there is something new. */
  readonly textOf: (found: T) => string;
  readonly onChange: (found: T) => void;
  /** They could not be used; of two that belong together one is there before the other. */
  readonly onTrouble: (reason: string) => void;
}

/** Milliseconds between looks; by their times, since mounted and renamed files tell no watcher. */
const lookInterval = 1000;

/** Until the result is called. */
export function followFiles<T>(files: FollowedFiles<T>): () => void {
  const { paths, first, read, textOf, onChange, onTrouble } = files;
  let last = textOf(first);
  const look = (): void => {
    read().then(
      (found) => {
        const text = textOf(found);
        if (text === last) return;
        last = text;
        onChange(found);
      },
      (error: unknown) => onTrouble(messageOf(error)),
    );
  };
  for (const path of paths) watchFile(path, { interval: lookInterval }, look);
  return () => {
    for (const path of paths) unwatchFile(path, look);
  };
}

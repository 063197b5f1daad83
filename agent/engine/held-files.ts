/**
 * Files of which each is in the hands of one process at a time. Whoever finds all of a name held begins another, which is kept
 * for the next time that so many want one.
 *
 *     NAME         NAME-1         NAME-2         free
 *     NAME.HOLDER  NAME-1.HOLDER  NAME-2.HOLDER  held; taken over by a rename when the holder has died
 */
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { absent } from '../../shared/context/store-files.ts';
import { freeName, heldName, newHolder, stateOf } from '../../shared/holder.ts';

export interface HeldFile {
  /** Where it is until it is released; there is none yet where it is the first of its name. */
  readonly path: string;
  /** Without effect where there is none any more. */
  release(): Promise<void>;
}

export class HeldFiles {
  readonly #directory: string;
  readonly #holder = newHolder();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** For one user at a time here, too. The name has no dot and no hyphen. */
  async take(name: string): Promise<HeldFile> {
    const entries = await readdir(this.#directory);
    for (let number = 0; ; number++) {
      const free = number === 0 ? name : `${name}-${number}`;
      const path = join(this.#directory, heldName(free, this.#holder));
      const found = entries.filter((entry) => freeName(entry) === free);
      const isMine = found.length === 0 || (await this.#takeOne(found, path));
      if (!isMine) continue;
      return {
        path,
        release: async () => {
          // For whoever makes room: not every use writes to it.
          await utimes(path, new Date(), new Date()).catch(absent);
          await rename(path, join(this.#directory, free)).catch(absent);
        },
      };
    }
  }

  /** Removes the least recently used that no process holds, as far as known, so that with one more there are so many. */
  async makeRoom(most: number): Promise<void> {
    const entries = (await readdir(this.#directory)).filter((entry) => stateOf(entry) !== 'running');
    if (entries.length < most) return;
    const found = await Promise.all(
      entries.map(async (entry) => {
        const path = join(this.#directory, entry);
        return { path, usedAt: (await stat(path).catch(absent))?.mtimeMs ?? 0 };
      }),
    );
    found.sort((left, right) => left.usedAt - right.usedAt);
    for (const { path } of found.slice(0, entries.length - most + 1)) {
      await rm(path, { recursive: true, force: true });
    }
  }

  async #takeOne(entries: readonly string[], path: string): Promise<boolean> {
    for (const entry of entries) {
      if (!['free', 'gone'].includes(stateOf(entry))) continue;
      const isMine = await rename(join(this.#directory, entry), path).then(() => true, absent);
      if (isMine) return true;
    }
    return false;
  }
}

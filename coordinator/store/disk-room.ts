/** Keeps room on the disk of a store for what must be written, at the cost of contents that can be had again. */
import { statSync } from 'node:fs';
import { availableOn, noRoom, storeFull } from './disk-full.ts';

/** What may give up space. */
export interface Cache {
  readonly path: string;
  /** Says whether there was any to give up. */
  makeRoom(): Promise<boolean>;
}

export interface DiskRoomOptions {
  /** Milliseconds between looks at the disk. */
  readonly interval?: number;
  /** Milliseconds after which a cache that had nothing to give up is asked again. */
  readonly pause?: number;
}

/** Bytes that logs and the store may need before the next look. */
const reserve = 4 * 1024 * 1024;

export class DiskRoom implements Disposable {
  readonly #directory: string;
  readonly #cache: Cache;
  readonly #pause: number;
  readonly #timer: NodeJS.Timeout;
  #notBefore = -Infinity;
  #keeping: Promise<void> | undefined;

  /** Of the disk that holds the directory; without effect on it where the cache is on another one. */
  constructor(directory: string, cache: Cache, { interval = 1000, pause = 10_000 }: DiskRoomOptions = {}) {
    this.#directory = directory;
    this.#cache = cache;
    this.#pause = pause;
    this.#timer = setInterval(() => {
      if (performance.now() >= this.#notBefore) void this.#keep();
    }, interval).unref();
  }

  /**
   * Throws `disk-full` where there is no room for another build. SQLite alone does not tell: it writes on in what it has
   * of the disk, while the build's log has no place.
   */
  async require(): Promise<void> {
    if (availableOn(this.#directory) < noRoom) await this.#keep();
    if (availableOn(this.#directory) < noRoom) throw storeFull(this.#directory);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** What is under way is not begun again. Never rejects: what cannot be written says so itself. */
  #keep(): Promise<void> {
    this.#keeping ??= this.#look().finally(() => {
      this.#keeping = undefined;
    });
    return this.#keeping;
  }

  async #look(): Promise<void> {
    try {
      if (availableOn(this.#directory) >= reserve) return;
      const isShared = statSync(this.#cache.path).dev === statSync(this.#directory).dev;
      const isMade = isShared && (await this.#cache.makeRoom());
      // Looking through all of a cache in vain costs more than looking at a disk.
      if (!isMade) this.#notBefore = performance.now() + this.#pause;
    } catch {
      this.#notBefore = performance.now() + this.#pause;
    }
  }
}

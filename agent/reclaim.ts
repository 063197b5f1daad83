/** Frees what this agent's builds left on its engine: images once they are of no use here, and build cache, oldest first. */
import { delay, within } from '../shared/abort.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { formatSize } from '../shared/size.ts';
import { noAnswer } from './engine/engine-error.ts';
import type { Engine } from './engine/engine.ts';
import type { OwnImage, OwnImages } from './own-images.ts';

export interface ReclaimOptions {
  readonly engine: Engine;
  readonly images: OwnImages;
  /** Bytes of build cache that may stay; undefined: as many as the disk holds. */
  readonly keepCache: number | undefined;
  readonly log: Logger;
  /** Milliseconds between two times that it tidies up. */
  readonly interval?: number;
}

/** Since the agent started. */
export interface Reclaimed {
  readonly images: number;
  readonly cacheBytes: number;
  /** When something was reclaimed last; milliseconds since 1970. */
  readonly at: number;
}

/** Milliseconds for which an image may stay whose tag no newer build has taken. */
const keepImages = 7 * 24 * 3_600_000;

/** Milliseconds that an engine has to remove things. */
const patience = 10 * 60_000;

export class Reclaim {
  readonly #options: ReclaimOptions;
  #images = 0;
  #cacheBytes = 0;
  #at: number | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ReclaimOptions) {
    this.#options = options;
  }

  /** Undefined while nothing was. */
  get reclaimed(): Reclaimed | undefined {
    if (this.#at === undefined) return undefined;
    return { images: this.#images, cacheBytes: this.#cacheBytes, at: this.#at };
  }

  /** Removes as much as it takes for `missing` to give 0, as far as nobody uses it. Gives whether it removed any. */
  makeRoom(missing: () => Promise<number>, signal: AbortSignal): Promise<boolean> {
    return this.#alone('the disk is short of space', signal, async (limited) => {
      await this.#removeImages(async () => (await missing()) > 0, limited);
      const needed = await missing();
      if (needed <= 0) return;
      const { engine } = this.#options;
      const keep = Math.max(0, (await engine.cacheBytes(limited)) - needed);
      await this.#prune(keep, limited);
      // Layers are counted as they are unpacked: files that several share are freed with the last.
      if (keep > 0 && (await missing()) > 0) await this.#prune(0, limited);
    });
  }

  /** What no disk has to be short of space for: images that nobody comes back to, and cache beyond its bound. */
  tidy(signal: AbortSignal, now = Date.now()): Promise<boolean> {
    return this.#alone('as it does now and again', signal, async (limited) => {
      await this.#removeImages(
        async ({ tags, builtAt }) => tags.length === 0 || now - builtAt > keepImages,
        limited,
      );
      const { keepCache } = this.#options;
      // No bound at all is what engines take 0 for.
      if (keepCache !== undefined) await this.#prune(Math.max(1, keepCache), limited);
    });
  }

  /** Tidies up now and again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { interval = 3_600_000, log } = this.#options;
    for (;;) {
      await delay(interval, signal).catch(() => {});
      if (signal.aborted) return;
      await this.tidy(signal).catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'the engine could not be tidied up'),
      );
    }
  }

  async #removeImages(isDue: (image: Candidate) => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { engine, images } = this.#options;
    const known = images.oldestFirst;
    const held = new Map((await engine.images(signal)).map((image) => [image.id, image]));
    const gone: OwnImage[] = [];
    try {
      for (const image of known) {
        const listed = held.get(image.id);
        if (listed !== undefined) {
          if (!images.isSpare(image, listed.names)) continue;
          if (!(await isDue({ ...image, tags: listed.tags }))) continue;
        }
        // Builds end meanwhile: what was a tag of this image may be another's by now, and this one may be built again.
        const found = await engine.image(image.id, signal);
        if (found === undefined) gone.push(image);
        if (listed === undefined || found === undefined || !images.isCurrent(image)) continue;
        if (!images.isSpare(image, found.names)) continue;
        if (!(await engine.removeImage(found, signal))) continue;
        gone.push(image);
        this.#images += 1;
      }
    } finally {
      await images.forget(gone);
    }
  }

  async #prune(keep: number, signal: AbortSignal): Promise<void> {
    this.#cacheBytes += await this.#options.engine.pruneCache({ keep, signal });
  }

  /** One at a time; what was done is logged, also where it ended in an error. */
  #alone(why: string, signal: AbortSignal, work: (limited: AbortSignal) => Promise<void>): Promise<boolean> {
    const turn = this.#last.then(async () => {
      const before = { images: this.#images, cacheBytes: this.#cacheBytes };
      const did = (): boolean => this.#images > before.images || this.#cacheBytes > before.cacheBytes;
      try {
        await within(patience, { signal, late: () => noAnswer(this.#options.engine.host) }, work);
        return did();
      } finally {
        if (did()) {
          this.#at = Date.now();
          const images = this.#images - before.images;
          const cache = formatSize(this.#cacheBytes - before.cacheBytes);
          this.#options.log.info({ why, images, cache }, 'reclaimed disk of the engine');
        }
      }
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

interface Candidate {
  readonly tags: readonly string[];
  readonly builtAt: number;
}

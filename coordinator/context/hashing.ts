/** Hashes files while others are being looked for: small ones at once, the rest several at a time. */
import type { Digest } from '../../shared/context/tree.ts';
import { smallFileBytes, type ContextFile } from './context-file.ts';
import { hashDirectly, hashFile } from './hash-file.ts';
import type { Pace } from './pace.ts';

export interface HashJob {
  readonly file: ContextFile;
  done(digest: Digest): void;
}

/** Files that are read at a time; each holds two pieces in memory. */
const parallelFiles = 16;

export class Hashing {
  /** Records of the recipes of large files that were hashed, by their digests. */
  readonly recipes = new Map<Digest, Buffer>();
  readonly #pace: Pace;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #onRoom: (() => void) | undefined;

  constructor({ pace, signal }: { readonly pace: Pace; readonly signal: AbortSignal }) {
    this.#pace = pace;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /** Gives what to wait for, if anything, before the next is added. Throws what went wrong with any. */
  add(job: HashJob): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#pace.isDirect && job.file.size <= smallFileBytes) {
      job.done(hashDirectly(job.file, this.#pace));
      return undefined;
    }
    if (!this.#pace.isDirect) this.#pace.made(1);
    const running = this.#run(job).finally(() => {
      this.#running.delete(running);
      this.#onRoom?.();
    });
    this.#running.add(running);
    if (this.#running.size < parallelFiles) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** All are hashed. */
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing is under way any more, whatever became of it. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the scan has ended'));
    await Promise.all(this.#running);
  }

  async #run(job: HashJob): Promise<void> {
    try {
      const { digest, recipe } = await hashFile(job.file, this.#signal);
      if (recipe !== undefined) this.recipes.set(digest, recipe);
      job.done(digest);
    } catch (error) {
      this.#failure ??= { error };
      this.#stop.abort(new Error('another file could not be hashed'));
    }
  }
}

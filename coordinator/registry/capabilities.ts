/**
 * What a registry turned out not to do, so that it is not asked again for every blob. Forgotten after a while: rights
 * and settings change.
 */

/** Milliseconds. */
const memory = 600_000;
/** Pairs of repositories; a registry that refuses more is asked anew. */
const maxPairs = 1_000;
/** Bytes of one request where a larger one was too large, at most. */
const largestChunk = 8 * 1024 * 1024;
/** Bytes; a registry that takes no more in a request cannot be pushed to. */
const smallestChunk = 64 * 1024;

export class Capabilities {
  readonly #now: () => number;
  /** Until when, by `from to`. */
  readonly #refused = new Map<string, number>();
  #noMountsUntil = 0;
  #hasMounted = false;
  #limit: { readonly bytes: number; readonly until: number } | undefined;
  #noChunksUntil = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  mayMount(from: string, to: string): boolean {
    const now = this.#now();
    return this.#noMountsUntil <= now && (this.#refused.get(`${from} ${to}`) ?? 0) <= now;
  }

  mounted(): void {
    this.#hasMounted = true;
  }

  /** `everywhere`: the answer says nothing of these two, only that there was no mount. */
  mountRefused(from: string, to: string, everywhere: boolean): void {
    const until = this.#now() + memory;
    if (this.#refused.size >= maxPairs) this.#refused.clear();
    this.#refused.set(`${from} ${to}`, until);
    if (everywhere && !this.#hasMounted) this.#noMountsUntil = until;
  }

  /** Bytes that it takes in one request, as far as is known. */
  get bodyLimit(): number {
    return this.#limit !== undefined && this.#limit.until > this.#now() ? this.#limit.bytes : Infinity;
  }

  /** Bytes of the pieces of an upload in several requests. */
  get chunkSize(): number {
    return Math.min(this.bodyLimit, largestChunk);
  }

  /** It answered that this many bytes are too many. False when less makes no sense any more. */
  tooLarge(bytes: number): boolean {
    const next = Math.min(largestChunk, Math.floor(bytes / 4));
    if (next < smallestChunk) return false;
    if (next < this.bodyLimit) this.#limit = { bytes: next, until: this.#now() + memory };
    return true;
  }

  get takesChunks(): boolean {
    return this.#noChunksUntil <= this.#now();
  }

  chunksRefused(): void {
    this.#noChunksUntil = this.#now() + memory;
  }
}

/**
 * Cuts a content into chunks where its own bytes say so, after FastCDC (Xia et al., USENIX ATC 2016): a rolling hash over
 * the last 32 bytes cuts where its top bits are zero, so that inserted bytes move only the cuts around them. Two masks
 * keep the sizes near the average: a strict one before it, a lax one after.
 *
 * All of this belongs to the form of a recipe: clients that cut differently would share nothing.
 */
import { createHash } from 'node:crypto';
import { maxChunkBytes, minChunkBytes, type Chunk, type Recipe } from './chunks.ts';

/** How large the parts become, in bytes. */
export interface CutRules {
  readonly least: number;
  readonly average: number;
  readonly most: number;
  /** Where bits are set that have to be zero in the rolling hash, up to the average and after it. */
  readonly strictMask: number;
  readonly laxMask: number;
}

/** Top bits that have to be zero: 21 up to the average, 17 after it (19 are one cut in 512 KiB). */
const chunkRules: CutRules = {
  least: minChunkBytes,
  average: 512 * 1024,
  most: maxChunkBytes,
  strictMask: ~0 << 11,
  laxMask: ~0 << 15,
};
/** Bytes after which the first is shifted out of the rolling hash. */
const window = 32;

/** A number for each byte that looks random: the first 32 bits (big endian) of the sha256 of that byte alone. */
const gear = Int32Array.from({ length: 256 }, (_, byte) =>
  createHash('sha256').update(Uint8Array.of(byte)).digest().readInt32BE(),
);

export class Chunker {
  readonly #rules: CutRules;
  readonly #chunks: Chunk[] = [];
  #hash = createHash('sha256');
  /** Bytes of the chunk that is not yet cut. */
  #size = 0;
  #rolling = 0;

  constructor(rules = chunkRules) {
    this.#rules = rules;
  }

  /** Takes the next bytes of the content, in pieces of any size. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const start = at - this.#size;
      const cut = this.#findCut(bytes, start, at);
      const end = cut ?? bytes.length;
      this.#hash.update(bytes.subarray(at, end));
      this.#size = end - start;
      if (cut !== undefined) this.#cut();
      at = end;
    }
  }

  /** The recipe of all that was pushed; nothing may be pushed after it. */
  finish(): Recipe {
    if (this.#size > 0) this.#cut();
    return this.#chunks;
  }

  /** Where the chunk that began at `start` (which may lie before the bytes) ends; undefined when it goes on after them. */
  #findCut(bytes: Uint8Array, start: number, from: number): number | undefined {
    const { strictMask, laxMask } = this.#rules;
    const least = start + this.#rules.least;
    const average = Math.min(bytes.length, start + this.#rules.average);
    const most = Math.min(bytes.length, start + this.#rules.most);
    const table = gear;
    let rolling = this.#rolling;
    // Before the window of the first possible cut, nothing counts.
    let at = Math.max(from, least - window);
    for (; at < least - 1 && at < most; at++) rolling = ((rolling << 1) + table[bytes[at]!]!) | 0;
    for (; at < average; at++) {
      rolling = ((rolling << 1) + table[bytes[at]!]!) | 0;
      if ((rolling & strictMask) === 0) return at + 1;
    }
    for (; at < most; at++) {
      rolling = ((rolling << 1) + table[bytes[at]!]!) | 0;
      if ((rolling & laxMask) === 0) return at + 1;
    }
    this.#rolling = rolling;
    return most === start + this.#rules.most ? most : undefined;
  }

  #cut(): void {
    this.#chunks.push({ digest: `sha256:${this.#hash.digest('hex')}`, size: this.#size });
    this.#hash = createHash('sha256');
    this.#size = 0;
    this.#rolling = 0;
  }
}

/**
 * A set of digests in flat memory, 40 to 80 bytes each: a context has hundreds of thousands of them. They stand in the order
 * in which they were added; a table of their numbers, probed linearly, finds them.
 */
import { randomBytes } from 'node:crypto';
import type { Digest } from './tree.ts';

const prefix = 'sha256:';
const digestBytes = 32;
const digestWords = digestBytes / 4;

/** Digests that a tree only claims can be chosen to collide in any hash that is known beforehand. */
const multipliers = Int32Array.from({ length: digestWords }, () => randomBytes(4).readInt32LE() | 1);

export class DigestSet implements Iterable<Digest> {
  #size = 0;
  #digests = Buffer.alloc(16 * digestBytes);
  /** Numbers of digests plus one; 0 is free. The length is a power of two, of which at most half is used. */
  #slots = new Uint32Array(32);
  readonly #key = Buffer.alloc(digestBytes);

  constructor(digests: Iterable<Digest> = []) {
    for (const digest of digests) this.add(digest);
  }

  get size(): number {
    return this.#size;
  }

  has(digest: Digest): boolean {
    return this.#readKey(digest) && this.#slots[this.#slotOfKey()] !== 0;
  }

  /** False when it was there already. Throws a RangeError for what is no digest. */
  add(digest: Digest): boolean {
    if (!this.#readKey(digest)) throw new RangeError(`no digest: ${JSON.stringify(digest)}`);
    const slot = this.#slotOfKey();
    if (this.#slots[slot] !== 0) return false;
    this.#key.copy(this.#digests, this.#size * digestBytes);
    this.#slots[slot] = ++this.#size;
    if (this.#size * 2 === this.#slots.length) this.#grow();
    return true;
  }

  /** In the order of adding; those added meanwhile come too. */
  *[Symbol.iterator](): Generator<Digest, void, undefined> {
    for (let number = 0; number < this.#size; number++) {
      const at = number * digestBytes;
      yield prefix + this.#digests.toString('hex', at, at + digestBytes);
    }
  }

  #readKey(digest: Digest): boolean {
    if (digest.length !== prefix.length + 2 * digestBytes || !digest.startsWith(prefix)) return false;
    return this.#key.write(digest.slice(prefix.length), 'hex') === digestBytes;
  }

  /** The slot of the key, or the free one where it would go. */
  #slotOfKey(): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashAt(this.#key, 0) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]!;
      if (number === 0) return slot;
      const end = number * digestBytes;
      if (this.#digests.compare(this.#key, 0, digestBytes, end - digestBytes, end) === 0) return slot;
    }
  }

  #grow(): void {
    const digests = Buffer.alloc(this.#digests.length * 2);
    this.#digests.copy(digests);
    this.#digests = digests;
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let slot = hashAt(digests, number * digestBytes) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number + 1;
    }
    this.#slots = slots;
  }
}

function hashAt(bytes: Buffer, at: number): number {
  let hash = 0;
  for (let word = 0; word < digestWords; word++) {
    hash = (hash + Math.imul(bytes.readInt32LE(at + 4 * word), multipliers[word]!)) | 0;
  }
  // The low bits choose the slot, and they have seen only low bits so far.
  return (hash ^ (hash >>> 15)) >>> 0;
}

/**
 * Every way in which files were served under one key, in flat memory: about 70 bytes each. Each has a number; the ways of one
 * path form a chain from the last to the first, and a hash table finds its beginning.
 *
 * Paths are kept as 64 bits of a hash. Two paths that share one also share their history, which can only make a
 * modification time be chosen with more care than needed.
 */
import type { Digest } from '../../shared/context/tree.ts';

export interface ServedFile {
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly digest: Digest;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

/** As it stands in a record: hash of the path (8), mode (4), size (4 and 4), mtime (8), digest (32); little endian. */
export const wayBytes = 60;
const modeAt = 8;
const sizeAt = 12;
const mtimeAt = 20;
const digestAt = 28;
/** In memory the number of the way before it follows. */
const beforeAt = wayBytes;
const nodeBytes = wayBytes + 4;
/** Ways stand in blocks that never move, so that growing takes no second copy. */
const blockBits = 13;
/** Ways of a path among which an equal one is looked for, so that two branches built in turns add nothing. */
const maxLookBack = 64;
const prefix = 'sha256:';
const billion = 1_000_000_000n;

export class ServedFiles {
  readonly #seed: readonly [number, number];
  readonly #blocks: Block[] = [];
  #size = 0;
  /** The last way of each path, by hash of the path; 0 is free. The length is a power of two. */
  #slots = new Uint32Array(1024);
  #paths = 0;
  /** Those that became the last of their path since they were taken. */
  #changed: number[] = [];
  /** The way that is being looked for or added. */
  readonly #way = blockOf(nodeBytes);

  /** The seed, secret and kept with the record, is what nobody can choose colliding paths without. */
  constructor(seed: readonly [number, number]) {
    this.#seed = seed;
  }

  /** Ways, old ones too. */
  get size(): number {
    return this.#size;
  }

  /**
   * Chooses how to serve a file, and gives the number of that: as the last time if digest and mode are the same; else
   * with its own mtime, unless path, mode, size and mtime together have stood for another content.
   */
  serve(path: string, file: ServedFile): number {
    const { bytes, view } = this.#way;
    this.#putPath(path);
    view.setUint32(modeAt, file.mode, true);
    view.setUint32(sizeAt, file.size % 2 ** 32, true);
    view.setUint32(sizeAt + 4, Math.floor(file.size / 2 ** 32), true);
    view.setBigInt64(mtimeAt, file.mtime, true);
    bytes.write(file.digest.slice(prefix.length), digestAt, 'hex');
    const last = this.#slots[this.#slotOf(this.#way, 0)]!;
    if (last !== 0 && this.#agrees(last, digestAt, wayBytes) && this.#agrees(last, modeAt, sizeAt))
      return last;
    for (let attempt = 0n; this.#isTaken(last); attempt += 1n) {
      view.setBigInt64(mtimeAt, derivedMtime(file, attempt), true);
    }
    const number = this.#makeLast();
    this.#changed.push(number);
    return number;
  }

  /** Takes a way over from a record, as the last of its path. */
  load(record: Buffer, at: number): void {
    record.copy(this.#way.bytes, 0, at, at + wayBytes);
    this.#makeLast();
  }

  mode(number: number): number {
    return this.#view(number).getUint32(offsetOf(number) + modeAt, true);
  }

  bytes(number: number): number {
    const view = this.#view(number);
    const at = offsetOf(number) + sizeAt;
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  }

  mtime(number: number): bigint {
    return this.#view(number).getBigInt64(offsetOf(number) + mtimeAt, true);
  }

  digest(number: number): Digest {
    const at = offsetOf(number);
    return prefix + this.#block(number).bytes.toString('hex', at + digestAt, at + wayBytes);
  }

  /** All ways of a path, the last first. */
  *history(path: string): Generator<number, void, undefined> {
    this.#putPath(path);
    const last = this.#slots[this.#slotOf(this.#way, 0)]!;
    for (let number = last; number !== 0; number = this.#before(number)) yield number;
  }

  /** What a record has to be told, in order; the next call gives what came after. */
  takeChanged(): number[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  /** All ways, those of one path from the first to the last. */
  *all(): Generator<number, void, undefined> {
    for (const last of this.#slots) {
      const chain: number[] = [];
      for (let number = last; number !== 0; number = this.#before(number)) chain.push(number);
      yield* chain.toReversed();
    }
  }

  copy(number: number, into: Buffer, at: number): void {
    const from = offsetOf(number);
    this.#block(number).bytes.copy(into, at, from, from + wayBytes);
  }

  /** Whether the engine would take the present way for another content that it was served. */
  #isTaken(last: number): boolean {
    for (let number = last; number !== 0; number = this.#before(number)) {
      if (this.#agrees(number, modeAt, digestAt) && !this.#agrees(number, digestAt, wayBytes)) return true;
    }
    return false;
  }

  /** Puts the present way at the head of its path's chain, where it may stand already further back. */
  #makeLast(): number {
    const slot = this.#slotOf(this.#way, 0);
    const last = this.#slots[slot]!;
    const known = this.#takeOut(last);
    const number = known === 0 ? this.#append() : known;
    if (number !== last) this.#setBefore(number, last);
    this.#slots[slot] = number;
    if (last === 0 && ++this.#paths * 2 > this.#slots.length) this.#grow();
    return number;
  }

  /** The way of the chain that is the present one, no longer linked to unless it is the first; 0 if there is none. */
  #takeOut(last: number): number {
    let after = 0;
    let number = last;
    for (let depth = 0; number !== 0 && depth < maxLookBack; depth++) {
      if (this.#agrees(number, 0, wayBytes)) {
        if (after !== 0) this.#setBefore(after, this.#before(number));
        return number;
      }
      after = number;
      number = this.#before(number);
    }
    return 0;
  }

  #append(): number {
    const number = ++this.#size;
    if (number > this.#blocks.length << blockBits) this.#blocks.push(blockOf(nodeBytes << blockBits));
    this.#way.bytes.copy(this.#block(number).bytes, offsetOf(number), 0, wayBytes);
    this.#setBefore(number, 0);
    return number;
  }

  /** The slot of the path whose hash stands there, or the free one where it would go. */
  #slotOf({ view }: Block, at: number): number {
    const low = view.getUint32(at, true);
    const high = view.getUint32(at + 4, true);
    const mask = this.#slots.length - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]!;
      if (number === 0) return slot;
      const other = this.#view(number);
      const start = offsetOf(number);
      if (other.getUint32(start, true) === low && other.getUint32(start + 4, true) === high) return slot;
    }
  }

  #grow(): void {
    const lasts = this.#slots;
    this.#slots = new Uint32Array(lasts.length * 2);
    for (const number of lasts) {
      if (number !== 0) this.#slots[this.#slotOf(this.#block(number), offsetOf(number))] = number;
    }
  }

  /** Compares a part of the present way with that of another; word by word, as a call would cost more. */
  #agrees(number: number, start: number, end: number): boolean {
    const one = this.#way.view;
    const other = this.#view(number);
    const at = offsetOf(number);
    for (let offset = start; offset < end; offset += 4) {
      if (one.getUint32(offset) !== other.getUint32(at + offset)) return false;
    }
    return true;
  }

  /** Murmur's mixing, a character at a time, in two lanes. */
  #putPath(path: string): void {
    let [low, high] = this.#seed;
    for (let index = 0; index < path.length; index++) {
      const code = path.charCodeAt(index);
      low = Math.imul(low ^ code, 0x85ebca6b);
      low ^= low >>> 13;
      high = Math.imul(high ^ code, 0xc2b2ae35);
      high ^= high >>> 16;
    }
    this.#way.view.setUint32(0, low, true);
    this.#way.view.setUint32(4, high, true);
  }

  #before(number: number): number {
    return this.#view(number).getUint32(offsetOf(number) + beforeAt, true);
  }

  #setBefore(number: number, before: number): void {
    this.#view(number).setUint32(offsetOf(number) + beforeAt, before, true);
  }

  #view(number: number): DataView {
    return this.#block(number).view;
  }

  #block(number: number): Block {
    return this.#blocks[(number - 1) >>> blockBits]!;
  }
}

/** The same memory, as what copies and as what reads numbers fast. */
interface Block {
  readonly bytes: Buffer;
  readonly view: DataView;
}

function blockOf(length: number): Block {
  const bytes = Buffer.allocUnsafeSlow(length);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, length) };
}

/** Where a way begins in its block. */
function offsetOf(number: number): number {
  return ((number - 1) & ((1 << blockBits) - 1)) * nodeBytes;
}

/** The second stays: layers keep only that, and a step that orders by time sees the least change. */
function derivedMtime({ mtime, digest }: ServedFile, attempt: bigint): bigint {
  const nanoseconds = ((mtime % billion) + billion) % billion;
  const derived = (BigInt(`0x${digest.slice(-15)}`) + attempt) % billion;
  return mtime - nanoseconds + derived;
}

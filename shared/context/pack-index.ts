/**
 * Where packed contents lie: a hash table in flat memory, about 50 bytes an item, because a store holds millions of them.
 * Entries stand in blocks that never move; a table of their numbers, probed linearly, finds them by digest. Digests are
 * random already, so their first bytes are the hash.
 */
import type { Digest } from './tree.ts';

export interface PackedItem {
  readonly kind: 'blob' | 'directory';
  readonly digest: Digest;
}

/** As it stands in a pack's index. */
export interface RawItem {
  readonly kind: PackedItem['kind'];
  /** The 32 bytes of a digest. */
  readonly digest: Buffer;
}

export interface Location {
  readonly pack: string;
  readonly offset: number;
  readonly size: number;
}

/** An entry: digest (32), number of the pack (4), offset (4), size with the kind as its top bit (4). */
const entryBytes = 44;
const blockBits = 13;
const blockEntries = 1 << blockBits;
const directoryBit = 0x8000_0000;
/** Of the table, beyond which probing gets long. */
const maxLoad = 0.8;

export class PackIndex {
  readonly #blocks: Buffer[] = [];
  /** Entry numbers + 1; 0 is free. The length is a power of two. */
  #slots = new Uint32Array(1024);
  /** Entries that were used and are free again. */
  readonly #free: number[] = [];
  #end = 0;
  readonly #packs: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #key = Buffer.alloc(32);

  get size(): number {
    return this.#end - this.#free.length;
  }

  get(item: PackedItem): Location | undefined {
    const entry = this.#slots[this.#slotOf(item)]!;
    if (entry === 0) return undefined;
    const [block, at] = this.#at(entry - 1);
    return {
      pack: this.#packs[block.readUInt32LE(at + 32)]!,
      offset: block.readUInt32LE(at + 36),
      size: block.readUInt32LE(at + 40) & ~directoryBit,
    };
  }

  has(item: PackedItem): boolean {
    return this.#slots[this.#slotOf(item)] !== 0;
  }

  /** Replaces what was known of the item. Offset and size have to fit in 32 and 31 bits. */
  set(item: PackedItem | RawItem, { pack, offset, size }: Location): void {
    if ((this.size + 1) / this.#slots.length > maxLoad) this.#grow();
    const slot = this.#slotOf(item);
    if (this.#slots[slot] === 0) this.#slots[slot] = this.#newEntry() + 1;
    const [block, at] = this.#at(this.#slots[slot]! - 1);
    this.#key.copy(block, at);
    block.writeUInt32LE(this.#numberOf(pack), at + 32);
    block.writeUInt32LE(offset, at + 36);
    block.writeUInt32LE(item.kind === 'directory' ? size + directoryBit : size, at + 40);
  }

  delete(item: PackedItem): void {
    const slot = this.#slotOf(item);
    if (this.#slots[slot] !== 0) this.#vacate(slot);
  }

  /** Whether one of the digests in the pack is such. */
  some(pack: string, isSuch: (digest: Digest) => boolean): boolean {
    const number = this.#numbers.get(pack);
    if (number === undefined) return false;
    for (const entry of this.#slots) {
      if (entry === 0 || this.#packOf(entry - 1) !== number) continue;
      const [block, at] = this.#at(entry - 1);
      if (isSuch(`sha256:${block.toString('hex', at, at + 32)}`)) return true;
    }
    return false;
  }

  /** Forgets all that lies in the pack. */
  deletePack(pack: string): void {
    const number = this.#numbers.get(pack);
    if (number === undefined) return;
    for (let slot = 0; slot < this.#slots.length;) {
      const entry = this.#slots[slot]!;
      // Vacating moves others: the slot may hold one of them now.
      if (entry !== 0 && this.#packOf(entry - 1) === number) this.#vacate(slot);
      else slot += 1;
    }
    this.#numbers.delete(pack);
    this.#packs[number] = '';
  }

  /** The slot of the item, or the free one where it would go. Leaves its digest in `#key`. */
  #slotOf({ kind, digest }: PackedItem | RawItem): number {
    const key = this.#key;
    if (typeof digest === 'string') key.write(digest.slice('sha256:'.length), 'hex');
    else digest.copy(key);
    const isDirectory = kind === 'directory';
    const mask = this.#slots.length - 1;
    for (let slot = key.readUInt32LE() & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === 0) return slot;
      const [block, at] = this.#at(entry - 1);
      if (block.readUInt32LE(at + 40) >= directoryBit !== isDirectory) continue;
      if (block.compare(key, 0, 32, at, at + 32) === 0) return slot;
    }
  }

  /** Frees a slot and closes the gap: what was probed past it moves up. */
  #vacate(slot: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    this.#free.push(slots[slot]! - 1);
    let gap = slot;
    for (let next = (gap + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#homeOf(slots[next]! - 1, mask);
      // It stays where its home lies between the gap and itself.
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      slots[gap] = slots[next]!;
      gap = next;
    }
    slots[gap] = 0;
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    const mask = slots.length - 1;
    for (const entry of old) {
      if (entry === 0) continue;
      let slot = this.#homeOf(entry - 1, mask);
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.#slots = slots;
  }

  #newEntry(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#end % blockEntries === 0) this.#blocks.push(Buffer.allocUnsafeSlow(blockEntries * entryBytes));
    return this.#end++;
  }

  #homeOf(entry: number, mask: number): number {
    const [block, at] = this.#at(entry);
    return block.readUInt32LE(at) & mask;
  }

  #packOf(entry: number): number {
    const [block, at] = this.#at(entry);
    return block.readUInt32LE(at + 32);
  }

  #at(entry: number): [Buffer, number] {
    return [this.#blocks[entry >>> blockBits]!, (entry & (blockEntries - 1)) * entryBytes];
  }

  #numberOf(pack: string): number {
    const known = this.#numbers.get(pack);
    if (known !== undefined) return known;
    const number = this.#packs.push(pack) - 1;
    this.#numbers.set(pack, number);
    return number;
  }
}

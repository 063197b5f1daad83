/**
 * A pack is a directory with `data` and `index`; while a process appends to it, its name ends in that of the process, and no
 * other appends to it or removes it. Data is written before its index entry, so a process killed between the two only loses what it had not
 * promised yet.
 *
 * An index entry has 48 bytes: kind (1: `b` or `d`), sha256 (32), offset (6) and size (4) in data, 5 of padding.
 */
import type { PackedItem, RawItem } from './pack-index.ts';

export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** Contents up to this many bytes are put into packs and handled whole. */
export const smallBytes = 64 * 1024;
/** Bytes of data above which nothing is added to a pack. */
export const packBytes = 64 * 1024 * 1024;
export const entryBytes = 48;

/** Of a pack that was nearly full and then had a long last write, with much to spare. */
const maxOffset = 0xffff_ffff;

export function encodeEntry({ kind, digest }: PackedItem, { offset, size }: Extent): Buffer {
  const entry = Buffer.alloc(entryBytes);
  entry.write(kind === 'blob' ? 'b' : 'd');
  entry.write(digest.slice('sha256:'.length), 1, 'hex');
  entry.writeUIntBE(offset, 33, 6);
  entry.writeUInt32BE(size, 39);
  return entry;
}

/** Undefined for an entry that only a damaged index can have. */
export function decodeEntry(entry: Buffer): { item: RawItem; extent: Extent } | undefined {
  const extent = { offset: entry.readUIntBE(33, 6), size: entry.readUInt32BE(39) };
  if (extent.size > smallBytes || extent.offset > maxOffset) return undefined;
  const kind = entry[0] === 'b'.charCodeAt(0) ? 'blob' : 'directory';
  return { item: { kind, digest: entry.subarray(1, 33) }, extent };
}

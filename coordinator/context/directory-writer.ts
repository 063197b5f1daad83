/** The record and times of one directory, made entry by entry in the order of their names. */
import { directoryHeader, encodeEntry, maxRecordBytes } from '../../shared/context/encoding.ts';
import { belowBytes, mtimeBytes, timesHeader } from '../../shared/context/times.ts';
import type { TreeEntry } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { lengthBytes } from './record-entry.ts';

/** Stands where a digest will be written once it is known. */
export const unknownDigest = `sha256:${'0'.repeat(64)}`;

const digestEnd = 64 + 1;

export class DirectoryWriter {
  #path = '';
  /** Of the record, after a place for its length. */
  #bytes: Buffer = Buffer.allocUnsafe(512);
  #end = 0;
  #mtimes: Buffer = Buffer.allocUnsafe(64);
  #count = 0;
  #directories = 0;

  /** From the root of the tree; empty for the root. */
  get path(): string {
    return this.#path;
  }

  /** What is written so far; valid until the next entry. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Of its entries, those that are directories. */
  get directories(): number {
    return this.#directories;
  }

  /** Starts anew: writers are used again for the sake of their memory. */
  begin(path: string): void {
    this.#path = path;
    this.#count = 0;
    this.#directories = 0;
    this.#end = lengthBytes;
    this.#end += this.#bytes.write(directoryHeader, this.#end, 'latin1');
  }

  /** Gives where the digest of the entry begins, if it has one. Throws `context-invalid` for what no tree holds. */
  add(entry: TreeEntry, mtime: bigint): number {
    const text = encodeEntry(entry);
    this.#bytes = withRoom(this.#bytes, this.#end, 3 * text.length);
    this.#end += this.#bytes.write(text, this.#end, 'utf8');
    this.#mtimes = withRoom(this.#mtimes, this.#count * mtimeBytes, mtimeBytes);
    this.#mtimes.writeBigInt64BE(mtime, this.#count * mtimeBytes);
    this.#count += 1;
    if (entry.type === 'directory') this.#directories += 1;
    return this.#end - digestEnd;
  }

  /** The times of the directories in it are left to be filled in. Throws `context-limit` when it is longer than it may be. */
  finish(): Buffer {
    const mtimesEnd = this.#end + timesHeader.length + this.#count * mtimeBytes;
    const length = mtimesEnd + this.#directories * belowBytes;
    if (length > maxRecordBytes) {
      const name = this.#path === '' ? 'the context' : JSON.stringify(this.#path);
      throw new ArchfarmError(
        'context-limit',
        `${name} has ${this.#count} entries in one directory, which takes ${length} bytes to describe, more than the limit of ${maxRecordBytes}`,
        { hint: 'spread them over several directories, or leave some out with .dockerignore' },
      );
    }
    const bytes = Buffer.allocUnsafe(length);
    this.#bytes.writeUInt32BE(this.#end - lengthBytes, 0);
    this.#bytes.copy(bytes, 0, 0, this.#end);
    timesHeader.copy(bytes, this.#end);
    this.#mtimes.copy(bytes, mtimesEnd - this.#count * mtimeBytes, 0, this.#count * mtimeBytes);
    bytes.fill(0, mtimesEnd);
    return bytes;
  }
}

function withRoom(bytes: Buffer, end: number, more: number): Buffer {
  if (end + more <= bytes.length) return bytes;
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, end + more));
  bytes.copy(larger, 0, 0, end);
  return larger;
}

/** The directories of a tree by number, those above before those in them. */
import { DirectoryWriter } from './directory-writer.ts';
import { belowBytes, digestBytes, putBelow } from '../../shared/context/times.ts';
import type { Digest, TimesId } from '../../shared/context/tree.ts';
import { directoryNameAt, hexDigestAt } from './record-entry.ts';
import { Rows } from './rows.ts';

/**
 * A row: number of the directory above (4), where the digest begins in that one's record (4), its number among the
 * directories there (4), directories in it (4).
 */
const rowBytes = 16;
const prefix = 'sha256:';

export interface FinishedDirectory {
  /** Record and times. */
  readonly bytes: Buffer;
  /** How many are in it. */
  readonly directories: number;
  /** Where its digest belongs in the record of the one above. */
  readonly digestStart: number;
  /** Its number among the directories there. */
  readonly index: number;
}

export class DirectoryTable {
  readonly #rows = new Rows(rowBytes);
  /** Of those that are not finished, what writes them. */
  readonly #records: (Buffer | DirectoryWriter)[] = [];

  get count(): number {
    return this.#rows.count;
  }

  add(parent: number, writer: DirectoryWriter): number {
    const number = this.#rows.add();
    this.#rows.block(number).writeUInt32LE(parent, this.#rows.offset(number));
    this.#records.push(writer);
    return number;
  }

  /** Forgets the last one. */
  drop(): void {
    this.#rows.drop();
    this.#records.pop();
  }

  finish(number: number, { bytes, directories, digestStart, index }: FinishedDirectory): void {
    this.#records[number] = bytes;
    const at = this.#rows.offset(number);
    const block = this.#rows.block(number);
    block.writeUInt32LE(digestStart, at + 4);
    block.writeUInt32LE(index, at + 8);
    block.writeUInt32LE(directories, at + 12);
  }

  /** Record and times, or what there is of the record so far. */
  bytes(number: number): Buffer {
    const record = this.#records[number];
    if (record === undefined) throw new RangeError(`no directory ${number}`);
    return record instanceof DirectoryWriter ? record.bytes : record;
  }

  /** From the root of the tree; empty for the root. */
  path(number: number): string {
    const record = this.#records[number];
    if (record instanceof DirectoryWriter) return record.path;
    if (number === 0) return '';
    const above = this.#above(number);
    return joined(this.path(above), directoryNameAt(this.bytes(above), this.#digestStart(number)));
  }

  /** Of any but the root, whose digest stands nowhere; 64 hex digits. */
  hexDigest(number: number): string {
    return hexDigestAt(this.bytes(this.#above(number)), this.#digestStart(number));
  }

  setHexDigest(number: number, hex: string): void {
    this.bytes(this.#above(number)).write(hex, this.#digestStart(number), 'latin1');
  }

  /** Of the times of any but the root. */
  timesDigest(number: number): Digest {
    const start = this.#timesStart(number);
    return prefix + this.bytes(this.#above(number)).toString('hex', start, start + digestBytes);
  }

  setTimes(number: number, id: TimesId): void {
    putBelow(this.bytes(this.#above(number)), this.#timesStart(number), id);
  }

  #above(number: number): number {
    return this.#field(number, 0);
  }

  #digestStart(number: number): number {
    return this.#field(number, 4);
  }

  /** In the bytes of the one above, which end with what leads to the times of the directories in it. */
  #timesStart(number: number): number {
    const above = this.#above(number);
    return this.bytes(above).length - belowBytes * (this.#field(above, 12) - this.#field(number, 8));
  }

  #field(number: number, at: number): number {
    return this.#rows.block(number).readUInt32LE(this.#rows.offset(number) + at);
  }
}

export function joined(path: string, name: string): string {
  return path === '' ? name : `${path}/${name}`;
}

/** The directories of a tree by number, those above before those in them. */
import { DirectoryWriter } from './directory-writer.ts';
import { directoryNameAt, hexDigestAt } from './record-entry.ts';
import { Rows } from './rows.ts';

/** A row: number of the directory above (4), where the digest begins in that one's record (4). */
const rowBytes = 8;

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

  /** `digestStart` is where its digest belongs in the record of the one above. */
  finish(number: number, record: Buffer, digestStart: number): void {
    this.#records[number] = record;
    this.#rows.block(number).writeUInt32LE(digestStart, this.#rows.offset(number) + 4);
  }

  /** The record, or what there is of it so far. */
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

  #above(number: number): number {
    return this.#rows.block(number).readUInt32LE(this.#rows.offset(number));
  }

  #digestStart(number: number): number {
    return this.#rows.block(number).readUInt32LE(this.#rows.offset(number) + 4);
  }
}

export function joined(path: string, name: string): string {
  return path === '' ? name : `${path}/${name}`;
}

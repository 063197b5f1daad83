/** The files of a tree by number, as entries of their directories. Further names of a file are not among them. */
import type { Digest } from '../../shared/context/tree.ts';
import { joined, type DirectoryTable } from './directory-table.ts';
import { fileAt, hexDigestAt, mtimeOf } from './record-entry.ts';
import { Rows } from './rows.ts';

/** A row: number of the directory (4), number of the entry (4), where the digest begins (4). */
const rowBytes = 12;
const prefix = 'sha256:';

export interface TreeFile {
  /** From the root of the tree. */
  readonly path: string;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

export class FileTable {
  readonly #directories: DirectoryTable;
  readonly #rows = new Rows(rowBytes);

  constructor(directories: DirectoryTable) {
    this.#directories = directories;
  }

  get count(): number {
    return this.#rows.count;
  }

  add(place: { readonly directory: number; readonly entry: number; readonly digestStart: number }): number {
    const number = this.#rows.add();
    const at = this.#rows.offset(number);
    const block = this.#rows.block(number);
    block.writeUInt32LE(place.directory, at);
    block.writeUInt32LE(place.entry, at + 4);
    block.writeUInt32LE(place.digestStart, at + 8);
    return number;
  }

  path(number: number): string {
    const { directory, bytes, digestStart } = this.#place(number);
    return joined(this.#directories.path(directory), fileAt(bytes, digestStart).name);
  }

  /** To be asked for once its directory is finished. */
  file(number: number): TreeFile {
    const { directory, entry, bytes, digestStart } = this.#place(number);
    const { name, size } = fileAt(bytes, digestStart);
    return { path: joined(this.#directories.path(directory), name), size, mtime: mtimeOf(bytes, entry) };
  }

  digest(number: number): Digest {
    const { bytes, digestStart } = this.#place(number);
    return prefix + hexDigestAt(bytes, digestStart);
  }

  setDigest(number: number, digest: Digest): void {
    const { bytes, digestStart } = this.#place(number);
    bytes.write(digest.slice(prefix.length), digestStart, 'latin1');
  }

  #place(number: number): { directory: number; entry: number; digestStart: number; bytes: Buffer } {
    const block = this.#rows.block(number);
    const at = this.#rows.offset(number);
    const directory = block.readUInt32LE(at);
    return {
      directory,
      entry: block.readUInt32LE(at + 4),
      digestStart: block.readUInt32LE(at + 8),
      bytes: this.#directories.bytes(directory),
    };
  }
}

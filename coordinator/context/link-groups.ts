/** The first names of files that have several, by device and inode. */
import type { BigIntStats } from 'node:fs';
import { RowIndex } from './row-index.ts';
import { Rows } from './rows.ts';

/** A row: device (8), inode (8), number of the file (4). */
const rowBytes = 20;
const identityBytes = 16;

export class LinkGroups {
  readonly #rows = new Rows(rowBytes);
  readonly #index = new RowIndex((row) => hashOf(this.#rows.block(row), this.#rows.offset(row)));
  readonly #identity = Buffer.alloc(identityBytes);

  /** The number that was given for another name of the file. */
  first(stat: BigIntStats): number | undefined {
    const identity = identityOf(stat, this.#identity);
    const row = this.#index.find(hashOf(identity, 0), (candidate) => {
      const at = this.#rows.offset(candidate);
      return this.#rows.block(candidate).compare(identity, 0, identityBytes, at, at + identityBytes) === 0;
    });
    return row === undefined ? undefined : this.#rows.block(row).readUInt32LE(this.#rows.offset(row) + 16);
  }

  /** For a file of which there was none yet. */
  add(stat: BigIntStats, file: number): void {
    const row = this.#rows.add();
    const at = this.#rows.offset(row);
    identityOf(stat, this.#identity).copy(this.#rows.block(row), at);
    this.#rows.block(row).writeUInt32LE(file, at + identityBytes);
    this.#index.add(row);
  }
}

function identityOf({ dev, ino }: BigIntStats, into: Buffer): Buffer {
  into.writeBigUInt64LE(BigInt.asUintN(64, dev), 0);
  into.writeBigUInt64LE(BigInt.asUintN(64, ino), 8);
  return into;
}

function hashOf(bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at) ^ bytes.readInt32LE(at + 8);
}

/**
 * Digests of files by what `stat` says of them, in the very bytes that lie on disk: loading 100,000 of them makes no
 * object for each.
 *
 *     archfarm stat 1\n                                    16 bytes
 *     device inode size mtime ctime digest                 72 bytes a record, numbers little endian
 *     sha256 of all that                                   32 bytes
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import type { Digest } from '../../shared/context/tree.ts';
import { RowIndex } from './row-index.ts';
import { Rows } from './rows.ts';

const header = Buffer.from('archfarm stat 1\n');
const fingerprintBytes = 40;
const recordBytes = fingerprintBytes + 32;
const checksumBytes = 32;
const prefix = 'sha256:';

/** What changes whenever the content does: nobody can set a ctime. */
export type Fingerprint = Buffer;

export function fingerprintOf(stat: BigIntStats, into = Buffer.allocUnsafe(fingerprintBytes)): Fingerprint {
  into.writeBigUInt64LE(BigInt.asUintN(64, stat.dev), 0);
  into.writeBigUInt64LE(BigInt.asUintN(64, stat.ino), 8);
  into.writeBigInt64LE(stat.size, 16);
  into.writeBigInt64LE(stat.mtimeNs, 24);
  into.writeBigInt64LE(stat.ctimeNs, 32);
  return into;
}

/** Records of an earlier scan, and new ones; those that are asked for again count as used. */
export class StatTable {
  readonly count: number;
  usedCount = 0;
  readonly #bytes: Buffer;
  readonly #used: Uint8Array;
  readonly #index: RowIndex;
  readonly #added = new Rows(recordBytes);

  /** `bytes` as `encode` made them. Anything else is an empty table: a cache may always be lost. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.count = isIntact(bytes) ? (bytes.length - header.length - checksumBytes) / recordBytes : 0;
    this.#used = new Uint8Array(this.count);
    this.#index = new RowIndex((row) => hashOf(this.#bytes, start(row)), this.count);
    for (let row = 0; row < this.count; row++) this.#index.add(row);
  }

  get addedCount(): number {
    return this.#added.count;
  }

  find(fingerprint: Fingerprint): Digest | undefined {
    const row = this.#index.find(hashOf(fingerprint, 0), (candidate) => {
      const at = start(candidate);
      return this.#bytes.compare(fingerprint, 0, fingerprintBytes, at, at + fingerprintBytes) === 0;
    });
    if (row === undefined) return undefined;
    if (this.#used[row] === 0) this.usedCount += 1;
    this.#used[row] = 1;
    return prefix + this.#bytes.toString('hex', start(row) + fingerprintBytes, start(row + 1));
  }

  /** Of a file that was not found. */
  add(fingerprint: Fingerprint, digest: Digest): void {
    const row = this.#added.add();
    const at = this.#added.offset(row);
    const block = this.#added.block(row);
    fingerprint.copy(block, at);
    block.write(digest.slice(prefix.length), at + fingerprintBytes, 'hex');
  }

  /** The used records and the added ones, as the next scan should find them. */
  *encode(): Generator<Buffer> {
    const checksum = createHash('sha256');
    for (const part of this.#parts()) {
      checksum.update(part);
      yield part;
    }
    yield checksum.digest();
  }

  *#parts(): Generator<Buffer> {
    yield header;
    for (let row = 0; row < this.count;) {
      const first = row;
      while (this.#used[row] === 1) row += 1;
      if (row > first) yield this.#bytes.subarray(start(first), start(row));
      else row += 1;
    }
    yield* this.#added.bytes();
  }
}

function start(index: number): number {
  return header.length + index * recordBytes;
}

function hashOf(bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at) ^ Math.imul(bytes.readInt32LE(at + 8), 0x01000193);
}

function isIntact(bytes: Buffer): boolean {
  const end = bytes.length - checksumBytes;
  return (
    end >= header.length &&
    (end - header.length) % recordBytes === 0 &&
    bytes.subarray(0, header.length).equals(header) &&
    createHash('sha256').update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end))
  );
}

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

/** Records of an earlier scan; those that are asked for again count as used. */
export class StatTable {
  readonly count: number;
  usedCount = 0;
  readonly #bytes: Buffer;
  readonly #used: Uint8Array;
  /** Record numbers plus one, by hash; 0 is a free place. */
  readonly #places: Int32Array;
  readonly #mask: number;

  /** `bytes` as `encode` made them. Anything else is an empty table: a cache may always be lost. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.count = isIntact(bytes) ? (bytes.length - header.length - checksumBytes) / recordBytes : 0;
    this.#used = new Uint8Array(this.count);
    const size = 2 ** Math.ceil(Math.log2(2 * this.count + 1));
    this.#mask = size - 1;
    this.#places = new Int32Array(size);
    for (let index = 0; index < this.count; index++) {
      this.#places[this.#placeOf(this.#bytes, start(index))] = index + 1;
    }
  }

  find(fingerprint: Fingerprint): Digest | undefined {
    const number = this.#places[this.#placeOf(fingerprint, 0)] ?? 0;
    if (number === 0) return undefined;
    if (this.#used[number - 1] === 0) this.usedCount += 1;
    this.#used[number - 1] = 1;
    const at = start(number - 1);
    return prefix + this.#bytes.toString('hex', at + fingerprintBytes, at + recordBytes);
  }

  /** The used records and new ones, as the next scan should find them. */
  encode(added: readonly (readonly [Fingerprint, Digest])[]): Buffer {
    const bytes = Buffer.allocUnsafe(start(this.usedCount + added.length) + checksumBytes);
    let at = header.copy(bytes);
    for (let index = 0; index < this.count; index++) {
      if (this.#used[index] === 1) at += this.#bytes.copy(bytes, at, start(index), start(index + 1));
    }
    for (const [fingerprint, digest] of added) {
      at += fingerprint.copy(bytes, at);
      at += bytes.write(digest.slice(prefix.length), at, 'hex');
    }
    checksumOf(bytes).copy(bytes, at);
    return bytes;
  }

  /** The place of the record with this fingerprint, or the free one where it would go. */
  #placeOf(bytes: Buffer, at: number): number {
    const hash = bytes.readUInt32LE(at) ^ Math.imul(bytes.readUInt32LE(at + 8), 0x9e3779b1);
    for (let place = (hash ^ (hash >>> 15)) & this.#mask; ; place = (place + 1) & this.#mask) {
      const number = this.#places[place] ?? 0;
      if (number === 0) return place;
      const other = start(number - 1);
      const end = other + fingerprintBytes;
      if (bytes.compare(this.#bytes, other, end, at, at + fingerprintBytes) === 0) return place;
    }
  }
}

function start(index: number): number {
  return header.length + index * recordBytes;
}

function isIntact(bytes: Buffer): boolean {
  const end = bytes.length - checksumBytes;
  return (
    end >= header.length &&
    (end - header.length) % recordBytes === 0 &&
    bytes.subarray(0, header.length).equals(header) &&
    checksumOf(bytes).equals(bytes.subarray(end))
  );
}

function checksumOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes.subarray(0, -checksumBytes)).digest();
}

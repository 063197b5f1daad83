/** Finds by digest what numbered rows hold; they are looked through when first something is asked for. */
import type { Digest } from '../../shared/context/tree.ts';
import { RowIndex } from './row-index.ts';

/** What digests stand for: a Map, or something that takes less memory. */
export interface DigestLookup<Value> extends Iterable<readonly [Digest, Value]> {
  get(digest: Digest): Value | undefined;
  has(digest: Digest): boolean;
}

export interface LookupRows<Value> {
  readonly count: number;
  digest(row: number): Digest;
  value(row: number): Value;
}

export class RowLookup<Value> implements DigestLookup<Value> {
  readonly #rows: LookupRows<Value>;
  #index: RowIndex | undefined;

  constructor(rows: LookupRows<Value>) {
    this.#rows = rows;
  }

  get(digest: Digest): Value | undefined {
    const row = this.#find(digest);
    return row === undefined ? undefined : this.#rows.value(row);
  }

  has(digest: Digest): boolean {
    return this.#find(digest) !== undefined;
  }

  *[Symbol.iterator](): Generator<readonly [Digest, Value]> {
    for (let row = 0; row < this.#rows.count; row++) {
      const digest = this.#rows.digest(row);
      if (this.#find(digest) === row) yield [digest, this.#rows.value(row)];
    }
  }

  #find(digest: Digest): number | undefined {
    this.#index ??= this.#indexed();
    return this.#lookUp(this.#index, digest);
  }

  #indexed(): RowIndex {
    const { count } = this.#rows;
    const index = new RowIndex((row) => hashOf(this.#rows.digest(row)), count);
    for (let row = 0; row < count; row++) {
      // The first row with a digest stands for all that have it.
      if (this.#lookUp(index, this.#rows.digest(row)) === undefined) index.add(row);
    }
    return index;
  }

  #lookUp(index: RowIndex, digest: Digest): number | undefined {
    return index.find(hashOf(digest), (row) => this.#rows.digest(row) === digest);
  }
}

function hashOf(digest: Digest): number {
  return Number.parseInt(digest.slice(7, 15), 16) | 0;
}

/**
 * Finds what is like a new content among those in the store: the one with which it has most in common, and there what
 * stood where the new chunks stand. Nobody has to say which file was which before.
 */
import { chunksOf, type Chunk, type Recipe } from './chunks.ts';
import type { Digest } from './tree.ts';

/** Bytes of neighbouring new chunks, and of those that they took the place of: what is larger is no small edit. */
const maxRunBytes = 8 * 1024 * 1024;

export class KnownRecipes {
  readonly #records: Buffer[] = [];
  /** By chunk, the numbers of the records that have it. */
  readonly #holders = new Map<Digest, number[]>();

  constructor(records: readonly Buffer[]) {
    for (const record of records) this.add(record);
  }

  get records(): readonly Buffer[] {
    return this.#records;
  }

  add(record: Buffer): void {
    const number = this.#records.push(record) - 1;
    for (const { digest } of chunksOf(record)) {
      const holders = this.#holders.get(digest);
      if (holders === undefined) this.#holders.set(digest, [number]);
      else if (holders.at(-1) !== number) holders.push(number);
    }
  }

  /** By the offset of each new chunk, the chunks that it may have been made of. */
  basesOf(recipe: Recipe): ReadonlyMap<number, readonly Chunk[]> {
    const known = this.#mostAlike(recipe);
    return known === undefined ? new Map() : replacedBy(recipe, known);
  }

  #mostAlike(recipe: Recipe): Recipe | undefined {
    const common = new Map<number, number>();
    for (const { digest, size } of recipe) {
      for (const number of this.#holders.get(digest) ?? [])
        common.set(number, (common.get(number) ?? 0) + size);
    }
    let [best] = common;
    for (const each of common) if (best === undefined || each[1] > best[1]) best = each;
    const record = best === undefined ? undefined : this.#records[best[0]];
    return record === undefined ? undefined : chunksOf(record);
  }
}

function replacedBy(recipe: Recipe, known: Recipe): ReadonlyMap<number, readonly Chunk[]> {
  const places = new Map(known.map(({ digest }, index) => [digest, index]));
  const bases = new Map<number, readonly Chunk[]>();
  let offset = 0;
  let run = { offsets: [] as number[], bytes: 0, from: 0 };
  const endRun = (to: number): void => {
    const replaced = known.slice(run.from, to);
    // What was put between two chunks may repeat some of either.
    const near = replaced.length > 0 ? replaced : known.slice(Math.max(0, run.from - 1), run.from + 1);
    if (run.bytes <= maxRunBytes && bytesOf(near) <= maxRunBytes)
      for (const start of run.offsets) bases.set(start, near);
  };
  for (const { digest, size } of recipe) {
    // The next one, where the same chunk comes again and again.
    const place = known[run.from]?.digest === digest ? run.from : places.get(digest);
    if (place === undefined) {
      run.offsets.push(offset);
      run.bytes += size;
    } else {
      endRun(place);
      run = { offsets: [], bytes: 0, from: place + 1 };
    }
    offset += size;
  }
  endRun(known.length);
  return bases;
}

function bytesOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

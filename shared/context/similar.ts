/**
 * Finds what is like a new content among those in the store: the one with which it has most in common, and there what
 * stood where the new chunks stand. Nobody has to say which file was which before.
 */
import { chunksOf, type Chunk, type Recipe } from './chunks.ts';
import type { Digest } from './tree.ts';

/** Bytes of neighbouring new chunks, and of those that they took the place of: what is larger is no small edit. */
const maxRunBytes = 8 * 1024 * 1024;

/** By the offset of each new chunk, the chunks that it may have been made of; `records` are those of known recipes. */
export function basesOf(recipe: Recipe, records: readonly Buffer[]): ReadonlyMap<number, readonly Chunk[]> {
  const known = mostAlike(recipe, records);
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
  // Without anything in common there is nothing that it took the place of.
  if (run.from > 0) endRun(known.length);
  return bases;
}

function mostAlike(recipe: Recipe, records: readonly Buffer[]): Recipe {
  const digests = new Map<Digest, number>(recipe.map(({ digest, size }) => [digest, size]));
  let most = 0;
  let best: Recipe = [];
  for (const record of records) {
    const other = chunksOf(record);
    const common = new Set(other.map(({ digest }) => digest).filter((digest) => digests.has(digest)));
    const bytes = [...common].reduce((sum, digest) => sum + (digests.get(digest) ?? 0), 0);
    if (bytes > most) [most, best] = [bytes, other];
  }
  return best;
}

function bytesOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

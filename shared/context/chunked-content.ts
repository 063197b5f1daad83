/** Reading a content by its chunks, which are fetched a little ahead of the reader and may come from anywhere. */
import { createHash } from 'node:crypto';
import type { Chunk, Recipe } from './chunks.ts';
import type { Digest } from './tree.ts';

export interface ChunkSource {
  /** Sees to it that the chunk is here when its turn comes. */
  fetch(chunk: Chunk, offset: number): void;
  read(chunk: Chunk, offset: number): Promise<AsyncIterable<Buffer>>;
  /** The chunks make the content: it can be stored. */
  verified(): Promise<void>;
  /** They make another. */
  wrong(): Error;
}

/** Enough to keep the line busy while one of them is read. */
const chunksAhead = 4;

/** The last bytes are given only when all of them have been found right. */
export async function* readChunks(
  digest: Digest,
  recipe: Recipe,
  source: ChunkSource,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let [offset, aheadOffset, ahead] = [0, 0, 0];
  let held: Buffer | undefined;
  for (const [index, chunk] of recipe.entries()) {
    for (; ahead < Math.min(index + chunksAhead, recipe.length); ahead++) {
      const next = recipe[ahead] ?? chunk;
      source.fetch(next, aheadOffset);
      aheadOffset += next.size;
    }
    for await (const bytes of await source.read(chunk, offset)) {
      hash.update(bytes);
      if (held !== undefined) yield held;
      held = bytes;
    }
    offset += chunk.size;
  }
  if (`sha256:${hash.digest('hex')}` !== digest) throw source.wrong();
  await source.verified();
  if (held !== undefined) yield held;
}

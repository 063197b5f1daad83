/** Gives an item of a context out of what holds the whole of it: its parts are those of its directories and contents. */
import { ArchfarmError } from '../errors.ts';
import { encodeRecipe, type Chunk, type Recipe } from './chunks.ts';
import { partsOf, piecesOf } from './pieces.ts';
import type { PlacedChunk } from './reuse.ts';
import type { Content } from './sender.ts';
import type { WantedItem } from './transfer-messages.ts';
import type { Digest } from './tree.ts';
import { WholeContent, wholeOf } from './whole-content.ts';

export interface ItemHolder {
  record(directory: Digest): Promise<Buffer>;
  recipe(content: Chunk): Promise<Recipe>;
  /** Whether it is in the recipe of its content, which was asked for before. */
  hasChunk(chunk: PlacedChunk): boolean;
  chunk(chunk: PlacedChunk): Promise<AsyncIterable<Buffer>>;
  blob(digest: Digest, size: number): Promise<AsyncIterable<Buffer>>;
}

/** Throws `blobs-lost` for a chunk of another content, `protocol` for bytes that lie outside. */
export async function openItem(item: WantedItem, from: ItemHolder): Promise<Content> {
  const { kind, digest, size, offset } = item;
  switch (kind) {
    case 'directory':
      return whole(await from.record(digest));
    case 'recipe':
      return whole(encodeRecipe(await from.recipe({ digest, size })));
    case 'recipe-pieces':
      return whole(piecesOf(encodeRecipe(await from.recipe({ digest, size }))));
    case 'recipe-parts':
      return whole(partsOf(encodeRecipe(await from.recipe({ digest, size })), item.parts));
    case 'chunk':
      return { size, chunks: await chunkOf(item, from) };
    case 'chunk-pieces':
      return whole(piecesOf(await wholeOf(await chunkOf(item, from))));
    case 'chunk-parts':
      return whole(partsOf(await wholeOf(await chunkOf(item, from)), item.parts));
    case 'blob':
      if (offset > size)
        throw new ArchfarmError('protocol', `${digest} was wanted from byte ${offset} of ${size}`);
      return { size: size - offset, chunks: skip(await from.blob(digest, size), offset) };
    default:
      return kind satisfies never;
  }
}

/** Whoever may see a content may see its chunks, and nothing else of a store under that name. */
async function chunkOf(chunk: PlacedChunk, from: ItemHolder): Promise<AsyncIterable<Buffer>> {
  const { digest, of, ofSize } = chunk;
  await from.recipe({ digest: of, size: ofSize });
  if (!from.hasChunk(chunk)) throw new ArchfarmError('blobs-lost', `${digest} is no chunk of ${of}`);
  return from.chunk(chunk);
}

function whole(bytes: Buffer): Content {
  return { size: bytes.length, chunks: new WholeContent(bytes) };
}

function skip(chunks: AsyncIterable<Buffer>, offset: number): AsyncIterable<Buffer> {
  return offset === 0 ? chunks : withoutFirst(chunks, offset);
}

async function* withoutFirst(chunks: AsyncIterable<Buffer>, offset: number): AsyncGenerator<Buffer> {
  let left = offset;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

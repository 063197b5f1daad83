/** A tree that was made of local files, and what is needed to send its parts later. */
import { Chunker } from '../../shared/context/chunker.ts';
import { encodeRecipe, maxChunkBytes } from '../../shared/context/chunks.ts';
import { digestOf } from '../../shared/context/encoding.ts';
import type { Content, ContentSource } from '../../shared/context/sender.ts';
import { partsOf, piecesOf } from '../../shared/context/pieces.ts';
import { contentOf, type WantedItem } from '../../shared/context/transfer-messages.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { WholeContent, wholeOf } from '../../shared/context/whole-content.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import {
  readDirectly,
  readFileUnchanged,
  readPart,
  smallFileBytes,
  type ContextFile,
} from './context-file.ts';
import { changed } from './file-error.ts';
import { hashFile } from './hash-file.ts';
import { Pace } from './pace.ts';
import type { Tree } from './tree-writer.ts';

/** Of a chunk in its file. */
type Place = Pick<WantedItem, 'digest' | 'size' | 'offset'>;

export interface Snapshot extends Tree {
  /** Records of recipes, as far as they are known, by the digests of their contents. */
  readonly recipes: ReadonlyMap<Digest, Buffer>;
  readonly warnings: readonly string[];
}

/** Gives the parts of several trees by digest. */
export class SnapshotSource implements ContentSource {
  readonly #snapshots: readonly Snapshot[];
  readonly #pace = new Pace();
  /** Of contents whose digests were remembered, so that no scan had to read them. */
  readonly #recipes = new Map<Digest, Promise<Buffer>>();

  constructor(snapshots: readonly Snapshot[]) {
    this.#snapshots = snapshots;
  }

  /** Throws `blobs-lost` for what no tree holds; the content fails with `context-changed` when its file did. */
  async open(item: WantedItem, signal: AbortSignal): Promise<Content> {
    const digest = contentOf(item);
    for (const { directories, contents, allTimes } of this.#snapshots) {
      const found =
        item.kind === 'directory' ? directories.get(digest) : (contents.get(digest) ?? allTimes.get(digest));
      if (found !== undefined) return this.#contentOf(item, found, signal);
    }
    throw new ArchfarmError('blobs-lost', `this context has no ${item.kind} ${item.digest}`, {
      hint: 'start the build again',
    });
  }

  async #contentOf(item: WantedItem, found: ContextFile | Buffer, signal: AbortSignal): Promise<Content> {
    const { kind, digest, offset } = item;
    switch (kind) {
      case 'directory':
      case 'blob':
        if (Buffer.isBuffer(found)) return whole(found.subarray(offset));
        if (found.size <= smallFileBytes) return whole((await this.#read(found, digest)).subarray(offset));
        return { size: found.size - offset, chunks: readFileUnchanged(found, { digest, offset, signal }) };
      case 'recipe':
        return whole(await this.#recipe(digest, found, signal));
      case 'recipe-pieces':
        return whole(piecesOf(await this.#recipe(digest, found, signal)));
      case 'recipe-parts':
        return whole(partsOf(await this.#recipe(digest, found, signal), item.parts));
      case 'chunk':
        return chunkOf(item, found);
      case 'chunk-pieces':
        return whole(piecesOf(await wholeOf(chunkOf(item, found).chunks)));
      case 'chunk-parts':
        return whole(partsOf(await wholeOf(chunkOf(item, found).chunks), item.parts));
      default:
        return kind satisfies never;
    }
  }

  async #read(file: ContextFile, digest: Digest): Promise<Buffer> {
    const into = Buffer.allocUnsafe(file.size);
    const content = this.#pace.isDirect ? this.#readDirectly(file, into) : await readPart(file, into);
    if (digestOf(content) !== digest) throw changed(file.name);
    return content;
  }

  #readDirectly(file: ContextFile, into: Buffer): Buffer {
    const started = performance.now();
    const content = readDirectly(file, into);
    this.#pace.made(1, performance.now() - started);
    return content;
  }

  async #recipe(digest: Digest, found: ContextFile | Buffer, signal: AbortSignal): Promise<Buffer> {
    for (const { recipes } of this.#snapshots) {
      const known = recipes.get(digest);
      if (known !== undefined) return known;
    }
    for (;;) {
      const underWay = this.#recipes.get(digest);
      if (underWay === undefined) break;
      // Whoever asked for it first may be gone.
      const recipe = await underWay.catch(() => undefined);
      if (recipe !== undefined) return recipe;
    }
    const making = recipeOf(digest, found, signal);
    this.#recipes.set(digest, making);
    making.catch(() => this.#recipes.delete(digest));
    return making;
  }
}

async function recipeOf(digest: Digest, content: ContextFile | Buffer, signal: AbortSignal): Promise<Buffer> {
  if (Buffer.isBuffer(content)) {
    const chunker = new Chunker();
    chunker.push(content);
    return encodeRecipe(chunker.finish());
  }
  const hashed = await hashFile(content, signal);
  if (hashed.digest !== digest || hashed.recipe === undefined) throw changed(content.name);
  return hashed.recipe;
}

function chunkOf({ digest, size, offset }: Place, content: ContextFile | Buffer): Content {
  const length = Buffer.isBuffer(content) ? content.length : content.size;
  if (size > maxChunkBytes || offset + size > length) {
    throw new ArchfarmError('protocol', `a chunk of ${size} bytes at ${offset} of ${length}`);
  }
  if (Buffer.isBuffer(content)) return whole(content.subarray(offset, offset + size));
  return { size, chunks: readChunk(content, { digest, size, offset }) };
}

/** Read in its turn, because it takes memory until it is sent. */
async function* readChunk(file: ContextFile, { digest, size, offset }: Place): AsyncGenerator<Buffer> {
  const chunk = await readPart(file, Buffer.allocUnsafe(size), offset);
  if (digestOf(chunk) !== digest) throw changed(file.name);
  yield chunk;
}

function whole(bytes: Buffer): Content {
  return { size: bytes.length, chunks: new WholeContent(bytes) };
}

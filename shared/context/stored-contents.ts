/**
 * Reads what a store holds, from packs, files and chunks alike, and verifies every byte. What is damaged is dropped, so
 * that it counts as missing from then on.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { ArchfarmError } from '../errors.ts';
import { chunkedBytes, maxChunkBytes, type Chunk, type Recipe } from './chunks.ts';
import { decodeDirectory, digestOf } from './encoding.ts';
import { smallBytes } from './pack-format.ts';
import type { PackedItem } from './pack-index.ts';
import type { Packs } from './packs.ts';
import type { ChunkedContent, Recipes } from './recipes.ts';
import { absent, type StoreFiles } from './store-files.ts';
import type { Digest, Directory } from './tree.ts';

export interface StoredDirectory {
  readonly record: Buffer;
  readonly directory: Directory;
}

export interface StoredContentsOptions {
  readonly files: StoreFiles;
  readonly packs: Packs;
  readonly recipes: Recipes;
  /** Milliseconds after which a use is noted again. */
  readonly renewAfter: number;
}

const readBytes = 128 * 1024;
/** Chunks of one content that are looked for at a time. */
const parallel = 16;

export class StoredContents {
  readonly #files: StoreFiles;
  readonly #packs: Packs;
  readonly #recipes: Recipes;
  readonly #renewAfter: number;

  constructor({ files, packs, recipes, renewAfter }: StoredContentsOptions) {
    this.#files = files;
    this.#packs = packs;
    this.#recipes = recipes;
    this.#renewAfter = renewAfter;
  }

  /** Whether it is there by all appearances. Whoever asks relies on it from now on: it counts as used. */
  async has(item: PackedItem & { readonly size?: number }): Promise<boolean> {
    const { kind, digest, size } = item;
    if (this.#packs.use(item)) return true;
    if (size !== undefined && size <= smallBytes) return false;
    if (kind === 'directory' || size === undefined || size <= chunkedBytes) return this.#hasFile(item);
    const recipe = await this.#recipes.get({ digest, size });
    return recipe !== undefined && this.#hasChunks(recipe);
  }

  /** Undefined when it is not here, or was damaged and has been dropped. */
  async directory(digest: Digest): Promise<StoredDirectory | undefined> {
    const item = { kind: 'directory', digest } as const;
    const record = (await this.#packs.read(item)) ?? (await this.#files.read(item));
    if (record === undefined) return undefined;
    try {
      return { record, directory: decodeDirectory(digest, record) };
    } catch {
      await this.#drop(item);
      return undefined;
    }
  }

  /** Undefined when it is not here. What is found damaged on the way is dropped, and the stream fails with `blobs-lost`. */
  async open({ digest, size }: ChunkedContent): Promise<AsyncIterable<Buffer> | undefined> {
    const item = { kind: 'blob', digest } as const;
    // What fits in memory is verified before any of it is given: whoever asked can have it fetched instead.
    if (size <= maxChunkBytes) {
      const content = await this.#readWhole({ digest, size });
      return content === undefined ? undefined : single(content);
    }
    if (size <= chunkedBytes) return (await this.#hasFile(item)) ? this.#readFile(item, size) : undefined;
    const recipe = await this.#recipes.get({ digest, size });
    if (recipe === undefined || !(await this.#hasChunks(recipe))) return undefined;
    return this.#readChunks({ digest, size }, recipe);
  }

  /** A content that is small or a chunk; undefined when it is not here, or was damaged and has been dropped. */
  async #readWhole({ digest, size }: Chunk): Promise<Buffer | undefined> {
    const item = { kind: 'blob', digest } as const;
    const packed = await this.#packs.read(item);
    if (packed === undefined && size <= smallBytes) return undefined;
    if (packed === undefined && (await this.#files.find(item))?.size !== size) {
      await this.#dropDamaged(item);
      return undefined;
    }
    const content = packed ?? (await this.#files.read(item));
    if (content === undefined) return undefined;
    if (digestOf(content) === digest) return content.length === size ? content : undefined;
    await this.#drop(item);
    return undefined;
  }

  async *#readChunks(content: ChunkedContent, recipe: Recipe): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for (const [index, chunk] of recipe.entries()) {
      const bytes = await this.#readWhole(chunk);
      if (bytes === undefined) throw lost(content.digest);
      hash.update(bytes);
      // The last bytes are not given before all of them were verified.
      if (index === recipe.length - 1 && `sha256:${hash.digest('hex')}` !== content.digest) {
        await this.#recipes.drop(content);
        throw lost(content.digest);
      }
      yield bytes;
    }
  }

  async *#readFile(item: PackedItem, size: number): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    const file = await open(this.#files.pathOf(item)).catch(absent);
    if (file === undefined) throw lost(item.digest);
    try {
      // For whoever decides what was used least recently.
      await file.utimes(new Date(), new Date());
      for (let at = 0; ;) {
        const chunk = Buffer.allocUnsafe(readBytes);
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        hash.update(chunk.subarray(0, bytesRead));
        // The last byte is not given before all of them were verified.
        if (at >= size && (at > size || `sha256:${hash.copy().digest('hex')}` !== item.digest)) break;
        yield chunk.subarray(0, bytesRead);
        if (at === size) return;
      }
    } finally {
      await file.close();
    }
    await this.#dropDamaged(item);
    throw lost(item.digest);
  }

  async #hasFile(item: PackedItem): Promise<boolean> {
    const found = await this.#files.find(item);
    if (found === undefined) return false;
    if (Date.now() - found.usedAt > this.#renewAfter) await this.#files.touch(item);
    return true;
  }

  async #hasChunks(recipe: Recipe): Promise<boolean> {
    for (let at = 0; at < recipe.length; at += parallel) {
      const found = await Promise.all(
        recipe.slice(at, at + parallel).map((chunk) => this.has({ kind: 'blob', ...chunk })),
      );
      if (found.includes(false)) return false;
    }
    return true;
  }

  /** Whoever asks may be wrong about the size, and must not cost others what is whole. */
  async #dropDamaged(item: PackedItem): Promise<void> {
    const file = await open(this.#files.pathOf(item)).catch(absent);
    if (file === undefined) return;
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ highWaterMark: readBytes })) hash.update(chunk);
    if (`sha256:${hash.digest('hex')}` !== item.digest) await this.#drop(item);
  }

  async #drop(item: PackedItem): Promise<void> {
    this.#packs.forget(item);
    await this.#files.remove(item);
  }
}

async function* single(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

function lost(digest: Digest): ArchfarmError {
  return new ArchfarmError('blobs-lost', `the stored content ${digest} was damaged and has been dropped`, {
    hint: 'build again: it is fetched anew',
  });
}

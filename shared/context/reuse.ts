/**
 * New chunks and recipes out of those that are in the store: of one that is nearly like another, only the pieces that
 * are new come from the other side. Where that does not work out, the caller fetches the whole.
 */
import { untilAborted } from '../abort.ts';
import { decodeRecipe, maxRecipeBytes, type Chunk, type Recipe } from './chunks.ts';
import { Delta, type Base } from './delta.ts';
import { digestOf } from './encoding.ts';
import { decodePieces, type Part } from './pieces.ts';
import { basesOf } from './similar.ts';
import type { BlobStore } from './store.ts';
import type { NewWant } from './wants.ts';
import type { Digest } from './tree.ts';
import { wholeOf } from './whole-content.ts';

export interface ReuseOptions {
  readonly store: Pick<BlobStore, 'blob' | 'recentRecipes'>;
  /** Gives what the other side answers. */
  readonly ask: (item: NewWant, signal: AbortSignal) => Promise<Buffer>;
}

/** A chunk and where it belongs. */
export type PlacedChunk = Required<Pick<NewWant, 'digest' | 'size' | 'offset' | 'of' | 'ofSize'>>;

/** Records of recipes below this many bytes (by the size of their contents) are not worth asking twice. */
const worthBytes = 200 * 1024 * 1024;
/** Contents whose bases are remembered. */
const maxContents = 32;

export class Reuse {
  readonly #options: ReuseOptions;
  readonly #underWay = new Map<Digest, Promise<Buffer | undefined>>();
  /** By content, the latest last. */
  readonly #bases = new Map<Digest, Promise<ReadonlyMap<number, readonly Chunk[]>>>();

  constructor(options: ReuseOptions) {
    this.#options = options;
  }

  /** The recipe's record; undefined when it has to come whole. Throws only what the signal says. */
  async recipe(content: Chunk, signal: AbortSignal): Promise<Recipe | undefined> {
    if (content.size < worthBytes) return undefined;
    const record = await this.#once(content.digest, signal, async () => {
      const known = await this.#options.store.recentRecipes();
      if (known.length === 0) return undefined;
      return this.#put(content, {
        kind: 'recipe',
        maxBytes: maxRecipeBytes(content.size),
        bases: known.map((bytes) => () => Promise.resolve(bytes)),
        signal,
      });
    });
    return record === undefined ? undefined : decoded(content, record);
  }

  /** The chunk, verified; undefined when it has to come whole. Throws only what the signal says. */
  async chunk(chunk: PlacedChunk, recipe: Recipe, signal: AbortSignal): Promise<Buffer | undefined> {
    return this.#once(chunk.digest, signal, async () => {
      const known = (await this.#basesOf(chunk.of, recipe)).get(chunk.offset);
      if (known === undefined) return undefined;
      const content = await this.#put(chunk, {
        kind: 'chunk',
        maxBytes: chunk.size,
        bases: known.map((base) => () => this.#stored(base)),
        signal,
      });
      return content !== undefined && digestOf(content) === chunk.digest ? content : undefined;
    });
  }

  /** One at a time for each digest; those who come later have the same. */
  async #once(
    digest: Digest,
    signal: AbortSignal,
    make: () => Promise<Buffer | undefined>,
  ): Promise<Buffer | undefined> {
    for (let other = this.#underWay.get(digest); other !== undefined; other = this.#underWay.get(digest)) {
      try {
        return await untilAborted(other, signal);
      } catch {
        // Whoever began may be gone.
        signal.throwIfAborted();
      }
    }
    const making = make()
      .catch(() => {
        signal.throwIfAborted();
        // Whatever it was, it shows again when the whole is fetched.
        return undefined;
      })
      .finally(() => this.#underWay.delete(digest));
    this.#underWay.set(digest, making);
    return making;
  }

  async #put(
    item: Omit<NewWant, 'kind'>,
    {
      kind,
      maxBytes,
      bases,
      signal,
    }: {
      readonly kind: 'recipe' | 'chunk';
      readonly maxBytes: number;
      readonly bases: readonly Base[];
      readonly signal: AbortSignal;
    },
  ): Promise<Buffer | undefined> {
    const { ask } = this.#options;
    const pieces = decodePieces(await ask({ ...item, kind: `${kind}-pieces` }, signal), maxBytes);
    const delta = await Delta.plan(pieces, bases);
    if (delta === undefined) return undefined;
    const { parts } = delta;
    const askFor = (some: readonly Part[]): Promise<Buffer> =>
      ask({ ...item, kind: `${kind}-parts`, parts: some }, signal);
    return delta.assemble(parts.length === 0 ? Buffer.alloc(0) : await askFor(parts));
  }

  #basesOf(content: Digest, recipe: Recipe): Promise<ReadonlyMap<number, readonly Chunk[]>> {
    const known = this.#bases.get(content);
    if (known !== undefined) return known;
    const bases = this.#options.store.recentRecipes().then((records) => basesOf(recipe, records));
    this.#bases.set(content, bases);
    bases.catch(() => this.#bases.delete(content));
    const [oldest] = this.#bases.keys();
    if (this.#bases.size > maxContents && oldest !== undefined) this.#bases.delete(oldest);
    return bases;
  }

  async #stored({ digest, size }: Chunk): Promise<Buffer | undefined> {
    const content = await this.#options.store.blob(digest, size);
    return content === undefined ? undefined : wholeOf(content);
  }
}

function decoded(content: Chunk, record: Buffer): Recipe | undefined {
  try {
    return decodeRecipe(content, record);
  } catch {
    return undefined;
  }
}

/**
 * New chunks and recipes out of those that are in the store: of one that is nearly like another, only the pieces that
 * are new come from the other side. Where that does not work out, the caller fetches the whole.
 */
import { untilAborted } from '../abort.ts';
import { decodeRecipe, encodeRecipe, maxRecipeBytes, type Chunk, type Recipe } from './chunks.ts';
import { Delta, type Base } from './delta.ts';
import { digestOf } from './encoding.ts';
import { decodePieces } from './pieces.ts';
import { KnownRecipes } from './similar.ts';
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

/** What was put together. */
export interface Made {
  readonly content: Buffer;
  /** Bytes that came from the other side for it. */
  readonly sent: number;
}

/** Records of recipes below this many bytes (by the size of their contents) are not worth asking twice. */
const worthBytes = 200 * 1024 * 1024;
/** Milliseconds for which recipes are remembered: of many large contents, each is compared with them. */
const knownFor = 10_000;
/** Of those that were learned meanwhile and are kept in memory. */
const maxKnown = 256;
/** Contents whose bases are remembered. */
const maxContents = 32;

export class Reuse {
  readonly #options: ReuseOptions;
  /** By what they are: a recipe that is yet to be proven may be named like a chunk. */
  readonly #underWay = new Map<string, Promise<Made | undefined>>();
  /** By content, the latest last. */
  readonly #bases = new Map<Digest, Promise<ReadonlyMap<number, readonly Chunk[]>>>();
  #known: Promise<KnownRecipes> | undefined;

  constructor(options: ReuseOptions) {
    this.#options = options;
  }

  /** The recipe's record; undefined when it has to come whole. Throws only what the signal says. */
  async recipe(content: Chunk, signal: AbortSignal): Promise<Recipe | undefined> {
    if (content.size < worthBytes) return undefined;
    const made = await this.#once(`recipe/${content.digest}`, signal, async () => {
      const { records } = await this.#knownRecipes();
      if (records.length === 0) return undefined;
      return this.#put(content, {
        kind: 'recipe',
        maxBytes: maxRecipeBytes(content.size),
        bases: records.map((record) => () => Promise.resolve(record)),
        signal,
      });
    });
    return made === undefined ? undefined : decoded(content, made.content);
  }

  /** The chunk, verified; undefined when it has to come whole. Throws only what the signal says. */
  async chunk(chunk: PlacedChunk, recipe: Recipe, signal: AbortSignal): Promise<Made | undefined> {
    return this.#once(`chunk/${chunk.digest}`, signal, async () => {
      const known = (await this.#basesOf(chunk.of, recipe)).get(chunk.offset);
      if (known === undefined) return undefined;
      const made = await this.#put(chunk, {
        kind: 'chunk',
        maxBytes: chunk.size,
        bases: known.map((base) => () => this.#stored(base)),
        signal,
      });
      return made !== undefined && digestOf(made.content) === chunk.digest ? made : undefined;
    });
  }

  /** It has been stored. */
  learned(recipe: Recipe): void {
    this.#known
      ?.then((known) => {
        if (known.records.length < maxKnown) known.add(encodeRecipe(recipe));
        else this.#known = undefined;
      })
      .catch(() => {});
  }

  /** One at a time for each of them; those who come later have the same. */
  async #once(
    name: string,
    signal: AbortSignal,
    make: () => Promise<Made | undefined>,
  ): Promise<Made | undefined> {
    for (let other = this.#underWay.get(name); other !== undefined; other = this.#underWay.get(name)) {
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
      .finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, making);
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
  ): Promise<Made | undefined> {
    const { ask } = this.#options;
    const list = await ask({ ...item, kind: `${kind}-pieces` }, signal);
    const delta = await Delta.plan(decodePieces(list, maxBytes), bases);
    if (delta === undefined) return undefined;
    const { parts } = delta;
    const bytes =
      parts.length === 0 ? Buffer.alloc(0) : await ask({ ...item, kind: `${kind}-parts`, parts }, signal);
    const content = await delta.assemble(bytes);
    return content === undefined ? undefined : { content, sent: list.length + bytes.length };
  }

  #basesOf(content: Digest, recipe: Recipe): Promise<ReadonlyMap<number, readonly Chunk[]>> {
    const known = this.#bases.get(content);
    if (known !== undefined) return known;
    const bases = this.#knownRecipes().then((recipes) => recipes.basesOf(recipe));
    this.#bases.set(content, bases);
    bases.catch(() => this.#bases.delete(content));
    const [oldest] = this.#bases.keys();
    if (this.#bases.size > maxContents && oldest !== undefined) this.#bases.delete(oldest);
    return bases;
  }

  #knownRecipes(): Promise<KnownRecipes> {
    if (this.#known !== undefined) return this.#known;
    const known = this.#options.store.recentRecipes().then((records) => new KnownRecipes(records));
    this.#known = known;
    const forget = (): void => {
      if (this.#known === known) this.#known = undefined;
    };
    known.then(() => setTimeout(forget, knownFor).unref(), forget);
    return known;
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

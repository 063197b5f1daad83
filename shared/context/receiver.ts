/** The receiving end of a transfer: contents come from the store or, once for all who wait, from the other side. */
import { ArchfarmError } from '../errors.ts';
import { readChunks } from './chunked-content.ts';
import { chunkedBytes, decodeRecipe, type Chunk, type Recipe } from './chunks.ts';
import { DigestSet } from './digest-set.ts';
import { decodeDirectory } from './encoding.ts';
import type { TransferSocket } from './frames.ts';
import type { Content, ContentSource } from './sender.ts';
import type { BlobStore } from './store.ts';
import { openItem } from './open-item.ts';
import { RecipeCache } from './recipe-cache.ts';
import { Reuse, type PlacedChunk } from './reuse.ts';
import { isOfPieces, type WantedItem } from './transfer-messages.ts';
import { Transfers } from './transfers.ts';
import type { ContextSource, Digest, Directory } from './tree.ts';
import { Wants, type NewWant } from './wants.ts';
import { WholeContent } from './whole-content.ts';

export interface ReceiverOptions {
  readonly store: BlobStore;
  /** Shared by all receivers of the store: what one of them asks for, the others wait for. */
  readonly transfers?: Transfers;
}

interface Waiting {
  /** Before what is only fetched ahead. */
  readonly urgent: boolean;
  readonly signal: AbortSignal;
  readonly onMade?:
    ((chunk: Digest, bytes: { readonly all: number; readonly sent: number }) => void) | undefined;
}

export class BlobReceiver implements ContextSource, ContentSource {
  readonly #store: BlobStore;
  readonly #transfers: Transfers;
  /** Of recipes, pieces and parts. Not shared: what a client says of a content is proven only by all of its bytes. */
  readonly #ownTransfers: Transfers;
  readonly #wants = new Wants();
  readonly #recipes = new RecipeCache();
  readonly #reuse: Reuse;

  constructor({ store, transfers = new Transfers(store) }: ReceiverOptions) {
    this.#store = store;
    this.#transfers = transfers;
    this.#ownTransfers = new Transfers(store);
    this.#reuse = new Reuse({ store, ask: (item, signal) => this.#want(item, true).whole(signal) });
  }

  /** Bytes of contents and records that came over connections, not from the store. */
  get receivedBytes(): number {
    return this.#wants.receivedBytes;
  }

  /**
   * Receives over this socket until it closes; a former one is given up. Throws `protocol` on a bad frame, having closed it.
   * `givesPieces` when the other side has said so.
   */
  attach(socket: TransferSocket, signal: AbortSignal, { givesPieces = false } = {}): Promise<void> {
    return this.#wants.attach(socket, signal, givesPieces);
  }

  /** Nobody will send any more: what is missing, now or later, fails with the error. */
  end(error: ArchfarmError): Promise<void> {
    return this.#wants.end(error);
  }

  async directory(digest: Digest, signal: AbortSignal): Promise<Directory> {
    return decodeDirectory(digest, await this.record(digest, signal));
  }

  /** The bytes of a directory's record. */
  async record(digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const item = { kind: 'directory', digest, size: 0 } as const;
    // One that is on its way to the store could be missed there and be over by then: it would be asked for again.
    const stored = this.#transfers.find(item) === undefined ? await this.#store.record(digest) : undefined;
    return stored ?? this.#want(item, true).whole(signal);
  }

  /** `onMade` hears, perhaps twice, of chunks of which only pieces came, and how many bytes. */
  async blob(
    digest: Digest,
    size: number,
    signal: AbortSignal,
    onMade?: Waiting['onMade'],
  ): Promise<AsyncIterable<Buffer>> {
    // BuildKit asks for empty files too.
    if (size === 0) return new WholeContent(Buffer.alloc(0));
    const waiting = { urgent: true, signal, onMade };
    if (size <= chunkedBytes) return this.#read({ kind: 'blob', digest, size }, waiting);
    // By chunks where all of them are here too, so that one which went bad on the disk is fetched anew.
    return this.#readChunks({ digest, size }, waiting);
  }

  /** Bytes of a content that a reader would have to fetch now: of a large one, those of the chunks that are not in the store. */
  async missingBytes(digest: Digest, size: number, signal: AbortSignal): Promise<number> {
    if (await this.#store.has({ kind: 'blob', digest, size })) return 0;
    if (size <= chunkedBytes) return size;
    const recipe = await this.#recipe({ digest, size }, { urgent: true, signal });
    const chunks = new Map(recipe.map((chunk) => [chunk.digest, chunk]));
    let missing = 0;
    for (const chunk of chunks.values())
      if (!(await this.#store.has({ kind: 'blob', ...chunk }))) missing += chunk.size;
    return missing;
  }

  /** Brings a content into the store when nothing urgent is to be fetched. */
  prefetch(digest: Digest, size: number, signal: AbortSignal): Promise<void> {
    if (size === 0) return Promise.resolve();
    const item = { kind: 'blob', digest, size } as const;
    const waiting = { urgent: false, signal };
    return size > chunkedBytes ? this.#fetchChunks(item, waiting) : this.#fetch(item, waiting);
  }

  /** To send on what is here, or what is just arriving. */
  open(item: WantedItem, signal: AbortSignal): Promise<Content> {
    const waiting = { urgent: true, signal };
    return openItem(item, {
      record: (digest) => this.record(digest, signal),
      recipe: (content) => this.#recipe(content, waiting),
      hasChunk: (chunk) => this.#recipes.has(chunk.of, chunk),
      chunk: (chunk) => this.#read({ ...chunk, kind: 'chunk' }, waiting),
      blob: (digest, size) => this.blob(digest, size, signal),
    });
  }

  /** One that has just come need not be read back from the disk. */
  async #read(item: NewWant, waiting: Waiting): Promise<AsyncIterable<Buffer>> {
    const here = await this.#here(item);
    if (here !== undefined) return here;
    const made = await this.#made(item, waiting);
    if (made !== undefined) return new WholeContent(made);
    return this.#want(item, waiting.urgent).content(waiting.signal);
  }

  async #here(item: NewWant): Promise<AsyncIterable<Buffer> | undefined> {
    const { digest, size } = item;
    const recent = this.#transfers.recent(digest);
    if (recent?.length === size) return new WholeContent(recent);
    return this.#transfers.find(item) === undefined ? this.#store.blob(digest, size) : undefined;
  }

  /** A chunk out of others and what they lack; undefined where it has to come whole. */
  async #made(item: NewWant, { signal, onMade }: Waiting): Promise<Buffer | undefined> {
    const recipe = isPlaced(item) ? this.#recipes.get(item.of) : undefined;
    // One that comes whole already is here sooner.
    if (!isPlaced(item) || recipe === undefined || this.#transfers.find(item) !== undefined) return undefined;
    const made = await this.#reuse.chunk(item, recipe, signal);
    if (made === undefined) return undefined;
    const { content, sent } = made;
    await this.#store.put({ kind: 'blob', digest: item.digest }, content);
    this.#transfers.remember(item.digest, content);
    onMade?.(item.digest, { all: content.length, sent });
    return content;
  }

  /** Resolves when it is in the store. One promise and no more, because a great many may wait here. */
  #fetch(item: NewWant, waiting: Waiting): Promise<void> {
    const { urgent, signal } = waiting;
    return new Promise((resolve, reject) => {
      const wait = (): void => this.#want(item, urgent).tellStored({ resolve, reject }, signal);
      const { digest, size } = item;
      if (this.#transfers.find(item) !== undefined) wait();
      else {
        this.#store
          .has({ kind: 'blob', digest, size })
          .then((isHere) => {
            if (isHere) return resolve();
            if (!isPlaced(item)) return wait();
            return this.#made(item, waiting).then((made) => (made === undefined ? wait() : resolve()));
          })
          .catch(reject);
      }
    });
  }

  async #fetchChunks(content: Chunk, waiting: Waiting): Promise<void> {
    if (await this.#store.has({ ...content, kind: 'blob' })) return;
    const chunks = this.#readChunks(content, waiting);
    while ((await chunks.next()).done !== true);
  }

  #want(item: NewWant, urgent: boolean): ReturnType<Wants['want']> {
    const isOwn = item.kind === 'recipe' || isOfPieces(item.kind);
    const transfers = isOwn ? this.#ownTransfers : this.#transfers;
    return this.#wants.want(item, transfers, urgent);
  }

  async *#readChunks(content: Chunk, { urgent, signal, onMade }: Waiting): AsyncGenerator<Buffer> {
    const recipe = await this.#recipe(content, { urgent, signal });
    const over = new AbortController();
    const waiting = { urgent, signal: AbortSignal.any([signal, over.signal]), onMade };
    const chunkOf = (chunk: Chunk, offset: number): NewWant => ({
      ...chunk,
      kind: 'chunk',
      offset,
      of: content.digest,
      ofSize: content.size,
    });
    // Until the store knows the recipe, nothing else says that the chunks belong to anything.
    using _pin = this.#store.pin(new DigestSet(recipe.map(({ digest }) => digest)));
    try {
      yield* readChunks(content.digest, recipe, {
        // What is wrong with it shows when it is read.
        fetch: (chunk, offset) => void this.#fetch(chunkOf(chunk, offset), waiting).catch(() => {}),
        read: (chunk, offset) => this.#read(chunkOf(chunk, offset), waiting),
        verified: () => this.#keep(content, recipe, waiting),
        wrong: () => {
          this.#recipes.delete(content.digest);
          this.#ownTransfers.forget(content.digest);
          return new ArchfarmError(
            'context-changed',
            `the chunks sent for ${content.digest} make another content`,
            {
              hint: 'a file of the context changed during the build; build again',
            },
          );
        },
      });
    } finally {
      over.abort(new Error('the content is read no further'));
    }
  }

  async #keep(content: Chunk, recipe: Recipe, { signal }: Waiting): Promise<void> {
    if (await this.#store.has({ kind: 'blob', ...content })) return;
    for (const chunk of recipe) {
      const item = { ...chunk, kind: 'chunk' } as const;
      // The last ones may still be on their way to the disk.
      if (this.#transfers.find(item) !== undefined) await this.#fetch(item, { urgent: true, signal });
    }
    await this.#store.putRecipe(content, recipe);
    this.#reuse.learned(recipe);
  }

  async #recipe(content: Chunk, { urgent, signal }: Waiting): Promise<Recipe> {
    const { digest, size } = content;
    const known = this.#recipes.get(digest);
    if (known !== undefined) return known;
    const stored = await this.#store.recipe(content);
    // Those who waited for it may have been cut off when it came.
    const recent = stored === undefined ? this.#ownTransfers.recent(digest) : undefined;
    const recipe =
      stored ??
      (recent === undefined ? await this.#reuse.recipe(content, signal) : undefined) ??
      decodeRecipe(
        content,
        recent ?? (await this.#want({ kind: 'recipe', digest, size }, urgent).whole(signal)),
      );
    this.#recipes.add(digest, recipe);
    return recipe;
  }
}

function isPlaced(item: NewWant): item is NewWant & PlacedChunk {
  return item.kind === 'chunk' && item.of !== undefined;
}

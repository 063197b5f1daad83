/**
 * Contents and directory records on disk, found by digest. Several processes may use one store at a time, and any of them
 * may be killed at any point: files appear by rename, and every byte is verified when it is read.
 *
 *     packs/      up to 64 KiB, many in a file
 *     blob/       larger contents and chunks, a file each
 *     recipe/     which chunks make a content above 8 MiB
 *     directory/  larger directory records, a file each
 *     temp/       what is being written or removed
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobWriter } from './blob-writer.ts';
import type { Recipe } from './chunks.ts';
import { isDiskFull, unlessDiskFull } from './disk-full.ts';
import type { PackedItem } from './pack-index.ts';
import { smallBytes } from './pack-format.ts';
import { Packs } from './packs.ts';
import { Recipes, type ChunkedContent } from './recipes.ts';
import { StoreFiles } from './store-files.ts';
import type { StoreUsage } from './store-usage.ts';
import { StoredContents, type StoredDirectory } from './stored-contents.ts';
import { StoreKeeper, type KeeperBounds } from './store-keeper.ts';
import type { PinnedDigests } from './sweep.ts';
import type { Digest, Directory } from './tree.ts';

export { smallBytes } from './pack-format.ts';

export type StoreOptions = Partial<KeeperBounds>;

const defaults = {
  maxBytes: 20 * 1024 ** 3,
  maxAge: 30 * 24 * 3_600_000,
  recent: 1_800_000,
};

export class BlobStore {
  readonly #files: StoreFiles;
  readonly #packs: Packs;
  readonly #recipes: Recipes;
  readonly #contents: StoredContents;
  readonly #maxBytes: number;
  readonly #keeper: StoreKeeper;
  readonly #counts = { hits: 0, hitBytes: 0, misses: 0, missBytes: 0 };

  private constructor(directory: string, options: StoreOptions) {
    const { recent = defaults.recent } = options;
    const bounds = { ...defaults, recentOnFullDisk: recent, ...options };
    this.#maxBytes = bounds.maxBytes;
    this.#files = new StoreFiles(directory);
    this.#packs = new Packs(join(directory, 'packs'));
    this.#recipes = new Recipes(this.#files);
    this.#contents = new StoredContents({
      files: this.#files,
      packs: this.#packs,
      recipes: this.#recipes,
      renewAfter: bounds.recent / 3,
    });
    this.#keeper = new StoreKeeper(
      { files: this.#files, packs: this.#packs, recipes: this.#recipes },
      bounds,
    );
  }

  /** Makes the directory where it is missing. Throws `disk-full`. */
  static async open(directory: string, options: StoreOptions = {}): Promise<BlobStore> {
    const store = new BlobStore(directory, options);
    await unlessDiskFull(directory, async () => {
      await store.#files.prepare();
      await store.#packs.refresh();
    });
    return store;
  }

  /** Keeps it within its bounds from now on: to be called when everything is pinned that was, as before a restart. */
  begin(): void {
    this.#keeper.begin();
  }

  /** Whether it is there by all appearances; reading may still find it damaged. Keeps it here for the next minutes. */
  has(item: PackedItem & { readonly size?: number }): Promise<boolean> {
    return this.#contents.has(item);
  }

  /** The bytes of a directory's record; undefined when it is not here, or was damaged and has been dropped. */
  async record(digest: Digest): Promise<Buffer | undefined> {
    return (await this.#directory(digest))?.record;
  }

  async directory(digest: Digest): Promise<Directory | undefined> {
    return (await this.#directory(digest))?.directory;
  }

  /** Undefined when it is not here. A large one found damaged on the way is dropped and its stream fails with `blobs-lost`. */
  async blob(digest: Digest, size: number): Promise<AsyncIterable<Buffer> | undefined> {
    const content = await this.#contents.open({ digest, size });
    if (content !== undefined) this.#hit(size);
    return content;
  }

  /** The chunks of a content above 8 MiB, some of which may not be here; undefined when they are not known. */
  async recipe(content: ChunkedContent): Promise<Recipe | undefined> {
    return this.#recipes.get(content);
  }

  /** Records of the recipes that were used latest, two megabytes at most. */
  recentRecipes(): Promise<readonly Buffer[]> {
    return this.#recipes.recent();
  }

  /** To be called when all chunks are stored and the caller has verified that they make the content. */
  async putRecipe(content: ChunkedContent, recipe: Recipe): Promise<void> {
    await this.#write(() => this.#recipes.put(content, recipe));
  }

  /** Stores a small content, a chunk or a directory's record. The caller has verified it. Throws `disk-full`. */
  async put(item: PackedItem, content: Buffer): Promise<void> {
    if (await this.has({ ...item, size: content.length })) return;
    await this.#write(() =>
      content.length <= smallBytes ? this.#packs.append(item, content) : this.#files.write(item, content),
    );
    this.#stored(content.length);
  }

  /** Begins to store a content as a file. Throws `disk-full`, and so does what it returns. */
  async write(blob: { readonly digest: Digest; readonly size: number }): Promise<BlobWriter> {
    const item = { kind: 'blob', digest: blob.digest } as const;
    const temporary = this.#files.temporaryPath();
    const file = await this.#write(() => open(temporary, 'wx+', 0o600));
    return new BlobWriter(blob, {
      file,
      temporary,
      final: this.#files.pathOf(item),
      write: (action) => this.#write(action),
      store: async () => {
        await this.#files.adopt(temporary, item);
        this.#stored(blob.size);
      },
    });
  }

  /** Keeps contents and directories of these digests, also those added later, until disposed: before all other processes too. */
  pin(digests: PinnedDigests): Disposable {
    return this.#keeper.pin(digests);
  }

  /** Keeps what was used in the last minutes until disposed, also on a full disk: for what cannot be pinned yet. */
  keepRecent(): Promise<Disposable> {
    return this.#keeper.keepRecent();
  }

  get path(): string {
    return this.#files.directory;
  }

  usage(): StoreUsage {
    return { bytes: this.#keeper.bytes, maxBytes: this.#maxBytes, ...this.#counts };
  }

  /** Removes what is too old, and the least recently used above the size. Sees also what other processes stored. */
  sweep(): Promise<void> {
    return this.#keeper.sweep();
  }

  /** For a disk that is full: removes the least recently used that nobody relies on. Says whether there was any. */
  makeRoom(): Promise<boolean> {
    return this.#keeper.makeRoom();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
    await this.#packs.close();
  }

  async #directory(digest: Digest): Promise<StoredDirectory | undefined> {
    const found = await this.#contents.directory(digest);
    if (found !== undefined) this.#hit(found.record.length);
    return found;
  }

  /** Tries again what found the disk full and can be done twice, once there is room. */
  async #write<T>(action: () => Promise<T>): Promise<T> {
    const write = (): Promise<T> => unlessDiskFull(this.#files.directory, action);
    try {
      return await write();
    } catch (error) {
      if (!isDiskFull(error) || !(await this.makeRoom().catch(() => false))) throw error;
      return write();
    }
  }

  #hit(bytes: number): void {
    this.#counts.hits += 1;
    this.#counts.hitBytes += bytes;
  }

  #stored(bytes: number): void {
    this.#counts.misses += 1;
    this.#counts.missBytes += bytes;
    this.#keeper.stored(bytes);
  }
}

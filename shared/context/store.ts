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
import { sweep, type Pin, type PinnedDigests, type StoreBounds } from './sweep.ts';
import type { Digest, Directory } from './tree.ts';

export { smallBytes } from './pack-format.ts';

export interface StoreOptions extends Partial<StoreBounds> {
  /** `recent` for a disk that is full; 0 for a store that one process has for itself, which pins what it relies on. */
  readonly recentOnFullDisk?: number;
}

const defaults = {
  maxBytes: 20 * 1024 ** 3,
  maxAge: 30 * 24 * 3_600_000,
  recent: 1_800_000,
};

/** Bytes that a full disk is relieved of at once, if there are so many to go. */
const roomBytes = 64 * 1024 ** 2;
/** Milliseconds for which a disk is taken for full once nothing could go: looking through the store for each write takes long. */
const hopeless = 10_000;

export class BlobStore {
  readonly #files: StoreFiles;
  readonly #packs: Packs;
  readonly #recipes: Recipes;
  readonly #contents: StoredContents;
  readonly #bounds: Required<StoreOptions>;
  readonly #pins = new Set<Pin>();
  #timer: NodeJS.Timeout | undefined;
  readonly #counts = { hits: 0, hitBytes: 0, misses: 0, missBytes: 0 };
  /** Bytes on disk at the last sweep, and those written since. */
  #bytes = 0;
  /** Bytes above which the next sweep is due: what is recent stays, and sweeping again would not help. */
  #sweepAt: number;
  #sweeping: Promise<void> = Promise.resolve();
  #sweepDue = false;
  #makingRoom: Promise<boolean> | undefined;
  #hopelessUntil = -Infinity;
  /** Who wants recent contents to stay whatever the disk says. */
  #keepers = 0;

  private constructor(directory: string, options: StoreOptions) {
    const { recent = defaults.recent } = options;
    this.#bounds = { ...defaults, recentOnFullDisk: recent, ...options };
    this.#sweepAt = this.#bounds.maxBytes;
    this.#files = new StoreFiles(directory);
    this.#packs = new Packs(join(directory, 'packs'));
    this.#recipes = new Recipes(this.#files);
    this.#contents = new StoredContents({
      files: this.#files,
      packs: this.#packs,
      recipes: this.#recipes,
      renewAfter: this.#bounds.recent / 3,
    });
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
    this.#timer ??= setInterval(() => this.#sweepSoon(), this.#bounds.recent / 3 || 1000).unref();
    this.#sweepSoon();
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
    // An object of its own: the same digests may be pinned twice.
    const pin = { digests };
    this.#pins.add(pin);
    return {
      [Symbol.dispose]: () => {
        // A sweep under way has decided for a part of what it removes before the pin was there.
        void this.#sweeping.then(() => {
          this.#pins.delete(pin);
          this.#hopelessUntil = -Infinity;
        });
      },
    };
  }

  /** Keeps what was used in the last minutes until disposed, also on a full disk: for what cannot be pinned yet. */
  async keepRecent(): Promise<Disposable> {
    this.#keepers += 1;
    await this.#makingRoom?.catch(() => {});
    return {
      [Symbol.dispose]: () => {
        this.#keepers -= 1;
        this.#hopelessUntil = -Infinity;
      },
    };
  }

  get path(): string {
    return this.#files.directory;
  }

  usage(): StoreUsage {
    return { bytes: this.#bytes, maxBytes: this.#bounds.maxBytes, ...this.#counts };
  }

  /** Removes what is too old, and the least recently used above the size. Sees also what other processes stored. */
  sweep(): Promise<void> {
    return this.#sweepAfter(async () => void (await this.#sweep()));
  }

  /** For a disk that is full: removes the least recently used that nobody relies on. Says whether there was any. */
  makeRoom(): Promise<boolean> {
    this.#makingRoom ??= this.#sweepAfter(() => this.#makeRoom()).finally(() => {
      this.#makingRoom = undefined;
    });
    return this.#makingRoom;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
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
    this.#bytes += bytes;
    if (this.#bytes > this.#sweepAt) this.#sweepSoon();
  }

  /** One at a time. */
  #sweepAfter<T>(sweep: () => Promise<T>): Promise<T> {
    const swept = this.#sweeping.then(sweep);
    this.#sweeping = swept.then(
      () => {},
      () => {},
    );
    return swept;
  }

  async #makeRoom(): Promise<boolean> {
    if (performance.now() < this.#hopelessUntil) return false;
    const isMade = await this.#sweep(roomBytes);
    if (!isMade) this.#hopelessUntil = performance.now() + hopeless;
    return isMade;
  }

  /** Says whether anything went. */
  async #sweep(room = 0): Promise<boolean> {
    this.#sweepDue = false;
    const { maxBytes, recent, recentOnFullDisk } = this.#bounds;
    await this.#packs.refresh();
    await this.#packs.touchUsed();
    const swept = await sweep(
      { files: this.#files, packs: this.#packs, recipes: this.#recipes, pins: this.#pins },
      { ...this.#bounds, recent: room > 0 && this.#keepers === 0 ? recentOnFullDisk : recent },
      room,
    );
    this.#bytes = swept.bytes;
    this.#sweepAt = Math.max(maxBytes, this.#bytes + maxBytes / 20);
    await this.#files.removeAbandoned(Date.now());
    return swept.freed > 0;
  }

  #sweepSoon(): void {
    if (this.#sweepDue) return;
    this.#sweepDue = true;
    // A store that cannot be cleaned still works; what is wrong with the disk shows when it is written to.
    this.sweep().catch(() => {});
  }
}

/**
 * Contents and directory records on disk, found by digest. Several processes may use one store at a time, and any of them
 * may be killed at any point: files appear by rename, and every byte is verified when it is read.
 *
 *     packs/      up to 64 KiB, many in a file
 *     blob/       larger contents, a file each
 *     directory/  larger directory records, a file each
 *     temp/       what is being written or removed
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, systemCode } from '../errors.ts';
import { BlobWriter } from './blob-writer.ts';
import { decodeDirectory, digestOf } from './encoding.ts';
import { Packs, type StoredItem } from './packs.ts';
import type { Digest, Directory } from './tree.ts';

export interface StoreOptions {
  /** Bytes on disk; what was used in the last minutes is kept even above it. */
  readonly maxBytes?: number;
  /** Milliseconds after which what nobody used goes. */
  readonly maxAge?: number;
  /** Milliseconds for which what was used, by any process, is kept. Pins are renewed in a third of it. */
  readonly recent?: number;
}

/** Contents up to this many bytes are put into packs and handled whole. */
export const smallBytes = 64 * 1024;

const defaults = { maxBytes: 20 * 1024 ** 3, maxAge: 30 * 24 * 3_600_000, recent: 1_800_000 };
const readBytes = 128 * 1024;

export class BlobStore {
  readonly #directory: string;
  readonly #options: Required<StoreOptions>;
  readonly #packs: Packs;
  readonly #pins = new Set<ReadonlySet<Digest>>();
  readonly #timer: NodeJS.Timeout;
  /** Bytes on disk at the last sweep, and those written since. */
  #bytes = 0;
  #sweeping: Promise<void> = Promise.resolve();

  private constructor(directory: string, options: StoreOptions) {
    this.#directory = directory;
    this.#options = { ...defaults, ...options };
    this.#packs = new Packs(join(directory, 'packs'));
    this.#timer = setInterval(() => this.#sweepSoon(), this.#options.recent / 3 || 1000).unref();
  }

  /** Makes the directory where it is missing. */
  static async open(directory: string, options: StoreOptions = {}): Promise<BlobStore> {
    for (const name of ['temp', 'blob', 'directory']) {
      await mkdir(join(directory, name), { recursive: true, mode: 0o700 });
    }
    const store = new BlobStore(directory, options);
    try {
      await store.#packs.refresh();
    } catch (error) {
      clearInterval(store.#timer);
      throw error;
    }
    store.#sweepSoon();
    return store;
  }

  /** Whether it is there by all appearances; reading may still find it damaged. */
  async has(item: StoredItem & { readonly size?: number }): Promise<boolean> {
    if (this.#packs.has(item)) return true;
    if (item.size !== undefined && item.size <= smallBytes) return false;
    return (await stat(this.#path(item)).catch(() => undefined)) !== undefined;
  }

  /** The bytes of a directory's record; undefined when it is not here, or was damaged and has been dropped. */
  async record(digest: Digest): Promise<Buffer | undefined> {
    const item: StoredItem = { kind: 'directory', digest };
    const record = (await this.#packs.read(item)) ?? (await readFile(this.#path(item)).catch(absent));
    if (record === undefined) return undefined;
    try {
      decodeDirectory(digest, record);
      return record;
    } catch {
      await this.#drop(item);
      return undefined;
    }
  }

  async directory(digest: Digest): Promise<Directory | undefined> {
    const record = await this.record(digest);
    return record === undefined ? undefined : decodeDirectory(digest, record);
  }

  /** Undefined when it is not here. A large one found damaged on the way is dropped and its stream fails. */
  async blob(digest: Digest, size: number): Promise<AsyncIterable<Buffer> | undefined> {
    const item: StoredItem = { kind: 'blob', digest };
    if (size > smallBytes) {
      return (await this.has({ ...item, size })) ? this.#readFile(item, size) : undefined;
    }
    const content = await this.#packs.read(item);
    if (content === undefined) return undefined;
    if (digestOf(content) === digest) return chunks(content);
    await this.#drop(item);
    return undefined;
  }

  /** Stores a small content or a directory's record. The caller has verified it. */
  async put(item: StoredItem, content: Buffer): Promise<void> {
    if (await this.has({ ...item, size: content.length })) return;
    await this.#guard(async () => {
      if (content.length <= smallBytes) {
        await this.#packs.append(item, content);
      } else {
        const temporary = this.#temporaryPath();
        await writeFile(temporary, content, { mode: 0o600 });
        await rename(temporary, await this.#makePath(item));
      }
    });
    this.#grown(content.length);
  }

  /** Begins to store a large content. */
  async write(blob: { readonly digest: Digest; readonly size: number }): Promise<BlobWriter> {
    return this.#guard(async () => {
      const final = await this.#makePath({ kind: 'blob', digest: blob.digest });
      const temporary = this.#temporaryPath();
      const file = await open(temporary, 'wx+', 0o600);
      this.#grown(blob.size);
      return new BlobWriter(blob, { file, temporary, final });
    });
  }

  /** Keeps contents and directories of these digests until disposed, in this process and before all others. */
  pin(digests: ReadonlySet<Digest>): Disposable {
    // A set of its own: the same digests may be pinned twice.
    const pinned = new Set(digests);
    this.#pins.add(pinned);
    return { [Symbol.dispose]: () => void this.#pins.delete(pinned) };
  }

  /** Removes what is too old, and the least recently used above the size. Sees also what other processes stored. */
  async sweep(): Promise<void> {
    const now = Date.now();
    await this.#packs.refresh();
    await this.#packs.touchUsed();
    const kept = new Set<string>();
    for (const pinned of this.#pins) for (const digest of pinned) this.#keep(kept, digest);
    const units = [...(await this.#packUnits()), ...(await this.#fileUnits())];
    let bytes = units.reduce((sum, unit) => sum + unit.bytes, 0);
    for (const unit of units.toSorted((left, right) => left.usedAt - right.usedAt)) {
      const unused = now - unit.usedAt;
      if (kept.has(unit.name)) {
        // Other processes see only times, not pins.
        if (unused > this.#options.recent / 3) await unit.touch();
      } else if (
        unused > this.#options.maxAge ||
        (bytes > this.#options.maxBytes && unused >= this.#options.recent)
      ) {
        await unit.remove();
        bytes -= unit.bytes;
      }
    }
    this.#bytes = bytes;
    await this.#removeAbandoned(now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
    await this.#packs.close();
  }

  async *#readFile(item: StoredItem, size: number): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    const path = this.#path(item);
    const file = await open(path).catch(absent);
    if (file === undefined) throw lost(item);
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
    await this.#drop(item);
    throw lost(item);
  }

  async #drop(item: StoredItem): Promise<void> {
    this.#packs.forget(item);
    await rm(this.#path(item), { force: true });
  }

  #path({ kind, digest }: StoredItem): string {
    const hex = digest.slice('sha256:'.length);
    return join(this.#directory, kind, hex.slice(0, 2), hex);
  }

  async #makePath(item: StoredItem): Promise<string> {
    const path = this.#path(item);
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    return path;
  }

  #temporaryPath(): string {
    return join(this.#directory, 'temp', randomBytes(12).toString('hex'));
  }

  async #guard<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') throw error;
      throw new ArchfarmError('disk-full', `no space left for contexts in ${this.#directory}`, {
        hint: 'free some space on that disk or give archfarm a data directory on another',
        cause: error,
      });
    }
  }

  #grown(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#options.maxBytes) this.#sweepSoon();
  }

  #sweepSoon(): void {
    // A store that cannot be cleaned still works; what is wrong with the disk shows when it is written to.
    this.#sweeping = this.#sweeping.then(() => this.sweep()).catch(() => {});
  }

  #keep(kept: Set<string>, digest: Digest): void {
    for (const kind of ['blob', 'directory'] as const) {
      const pack = this.#packs.packOf({ kind, digest });
      kept.add(pack ?? this.#path({ kind, digest }));
    }
  }

  async #packUnits(): Promise<Unit[]> {
    return (await this.#packs.usage()).map((pack) => ({
      ...pack,
      touch: () => this.#packs.touch(pack.name),
      remove: () => this.#packs.remove(pack.name),
    }));
  }

  async #fileUnits(): Promise<Unit[]> {
    const units: Unit[] = [];
    for (const kind of ['blob', 'directory']) {
      for (const shard of await readdir(join(this.#directory, kind))) {
        for (const file of await readdir(join(this.#directory, kind, shard))) {
          const name = join(this.#directory, kind, shard, file);
          const found = await stat(name).catch(absent);
          if (found === undefined) continue;
          units.push({
            name,
            bytes: found.size,
            usedAt: found.mtimeMs,
            touch: () => utimes(name, new Date(), new Date()),
            remove: () => rm(name, { force: true }),
          });
        }
      }
    }
    return units;
  }

  /** What killed processes left: a live one would have written to it since. */
  async #removeAbandoned(now: number): Promise<void> {
    const directory = join(this.#directory, 'temp');
    for (const name of await readdir(directory)) {
      const found = await stat(join(directory, name)).catch(absent);
      if (found !== undefined && now - found.mtimeMs > 24 * 3_600_000) {
        await rm(join(directory, name), { recursive: true, force: true });
      }
    }
  }
}

/** What is evicted as one: a pack or a file. */
interface Unit {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
  touch(): Promise<void>;
  remove(): Promise<void>;
}

async function* chunks(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

function absent(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

function lost(item: StoredItem): ArchfarmError {
  return new ArchfarmError(
    'blobs-lost',
    `the stored content ${item.digest} was damaged and has been dropped`,
    {
      hint: 'build again: it is fetched anew',
    },
  );
}

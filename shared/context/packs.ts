/**
 * Small contents share append-only files, because a file for each costs ten times as much. A pack is a directory with
 * `data` and `index`; while a process appends to it, its name ends in `.open` and no other process does. Data is
 * written before its index entry, so a process killed between the two only loses what it had not promised yet.
 *
 * An index entry has 48 bytes: kind (1: `b` or `d`), sha256 (32), offset (6) and size (4) in data, 5 of padding.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Digest } from './tree.ts';

export interface StoredItem {
  readonly kind: 'blob' | 'directory';
  readonly digest: Digest;
}

/** What eviction has to know of a pack. */
export interface PackUsage {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

interface Location {
  readonly pack: string;
  readonly offset: number;
  readonly size: number;
}

interface Writing {
  readonly name: string;
  readonly data: FileHandle;
  readonly index: FileHandle;
  bytes: number;
}

interface Batch {
  readonly items: { readonly item: StoredItem; readonly content: Buffer }[];
  readonly written: Promise<void>;
}

const entryBytes = 48;
const packBytes = 64 * 1024 * 1024;
const openSuffix = '.open';

export class Packs {
  readonly #directory: string;
  readonly #locations = new Map<string, Location>();
  /** Bytes of each pack's index that were read. */
  readonly #indexed = new Map<string, number>();
  readonly #readers = new Map<string, Promise<FileHandle>>();
  /** Packs that were read from since their times were last set. */
  readonly #used = new Set<string>();
  #writing: Writing | undefined;
  #batch: Batch | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  has(item: StoredItem): boolean {
    return this.#locations.has(keyOf(item));
  }

  packOf(item: StoredItem): string | undefined {
    return this.#locations.get(keyOf(item))?.pack;
  }

  forget(item: StoredItem): void {
    this.#locations.delete(keyOf(item));
  }

  /** Bytes as they lie there, unverified; undefined where they are gone. */
  async read(item: StoredItem): Promise<Buffer | undefined> {
    const location = this.#locations.get(keyOf(item));
    if (location === undefined) return undefined;
    this.#used.add(location.pack);
    const content = Buffer.alloc(location.size);
    try {
      const reader = await this.#reader(location.pack);
      const { bytesRead } = await reader.read(content, 0, location.size, location.offset);
      return content.subarray(0, bytesRead);
    } catch (error) {
      // Another process evicted the pack.
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Resolves when data and index are written. What is added meanwhile goes into one write after it. */
  append(item: StoredItem, content: Buffer): Promise<void> {
    this.#batch ??= this.#nextBatch();
    this.#batch.items.push({ item, content });
    return this.#batch.written;
  }

  /** Reads what other processes have added. */
  async refresh(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    // In order of age: of two copies, the younger is the one that replaced a broken one.
    for (const entry of (await readdir(this.#directory)).toSorted()) {
      const name = entry.endsWith(openSuffix) ? entry.slice(0, -openSuffix.length) : entry;
      if (name === this.#writing?.name) continue;
      const index = await readIfThere(join(this.#directory, entry, 'index'));
      if (index === undefined) continue;
      for (let at = this.#indexed.get(name) ?? 0; at + entryBytes <= index.length; at += entryBytes) {
        this.#index(name, index.subarray(at, at + entryBytes));
      }
      this.#indexed.set(name, index.length - (index.length % entryBytes));
    }
  }

  /** All packs but the one being written. */
  async usage(): Promise<PackUsage[]> {
    const packs: PackUsage[] = [];
    for (const name of this.#indexed.keys()) {
      if (name === this.#writing?.name) continue;
      const found = await this.#find(name, (path) => stat(join(path, 'data')));
      if (found !== undefined) packs.push({ name, bytes: found.size, usedAt: found.mtimeMs });
    }
    return packs;
  }

  async touch(name: string): Promise<void> {
    await this.#find(name, (path) => utimes(join(path, 'data'), new Date(), new Date()));
  }

  /** Lets everybody see which packs this process has used. */
  async touchUsed(): Promise<void> {
    const used = [...this.#used];
    this.#used.clear();
    for (const name of used) await this.touch(name);
  }

  async remove(name: string): Promise<void> {
    for (const [key, location] of this.#locations) if (location.pack === name) this.#locations.delete(key);
    this.#indexed.delete(name);
    await this.#find(name, async (path) => {
      // Renamed first: a pack that is half removed must not be read.
      const doomed = join(this.#directory, '..', 'temp', `${name}-removed`);
      await rename(path, doomed);
      await rm(doomed, { recursive: true, force: true });
    });
    const reader = this.#readers.get(name);
    this.#readers.delete(name);
    await reader?.then((handle) => handle.close());
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#finishPack();
    await this.touchUsed();
    for (const reader of this.#readers.values()) await reader.then((handle) => handle.close());
    this.#readers.clear();
  }

  #nextBatch(): Batch {
    const items: Batch['items'] = [];
    const written = this.#last.then(() => {
      this.#batch = undefined;
      return this.#write(items);
    });
    // Whoever appended hears of a failure; the next batch starts afresh.
    this.#last = written.catch(() => {});
    return { items, written };
  }

  async #write(items: Batch['items']): Promise<void> {
    if (this.#writing !== undefined && this.#writing.bytes >= packBytes) await this.#finishPack();
    const pack = (this.#writing ??= await this.#startPack());
    try {
      const entries = items.map(({ item, content }) => {
        const entry = Buffer.alloc(entryBytes);
        entry.write(item.kind === 'blob' ? 'b' : 'd');
        entry.write(item.digest.slice('sha256:'.length), 1, 'hex');
        entry.writeUIntBE(pack.bytes, 33, 6);
        entry.writeUInt32BE(content.length, 39);
        pack.bytes += content.length;
        return entry;
      });
      await pack.data.appendFile(Buffer.concat(items.map(({ content }) => content)));
      await pack.index.appendFile(Buffer.concat(entries));
      for (const entry of entries) this.#index(pack.name, entry);
    } catch (error) {
      // How much was written is unknown, so nothing may follow it.
      await this.#finishPack().catch(() => {});
      throw error;
    }
  }

  #index(pack: string, entry: Buffer): void {
    const kind = entry[0] === 0x62 ? 'blob' : 'directory';
    const digest = `sha256:${entry.toString('hex', 1, 33)}`;
    const location = { pack, offset: entry.readUIntBE(33, 6), size: entry.readUInt32BE(39) };
    this.#locations.set(keyOf({ kind, digest }), location);
  }

  /** Goes on with a pack that a process has left, so that many short runs do not leave many packs. */
  async #startPack(): Promise<Writing> {
    for (const name of await readdir(this.#directory)) {
      if (name.endsWith(openSuffix)) continue;
      const size = await stat(join(this.#directory, name, 'data')).catch(() => undefined);
      if (size === undefined || size.size >= packBytes / 2) continue;
      // Only one process can succeed in this.
      const taken = await rename(join(this.#directory, name), join(this.#directory, name + openSuffix)).then(
        () => true,
        () => false,
      );
      if (taken) return this.#openPack(name);
    }
    const name = `${Date.now().toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`;
    await mkdir(join(this.#directory, name + openSuffix));
    return this.#openPack(name);
  }

  async #openPack(name: string): Promise<Writing> {
    const path = join(this.#directory, name + openSuffix);
    const data = await open(join(path, 'data'), 'a', 0o600);
    try {
      const index = await open(join(path, 'index'), 'a', 0o600);
      return { name, data, index, bytes: (await data.stat()).size };
    } catch (error) {
      await data.close();
      throw error;
    }
  }

  async #finishPack(): Promise<void> {
    const pack = this.#writing;
    if (pack === undefined) return;
    this.#writing = undefined;
    const indexed = (await pack.index.stat()).size;
    await pack.data.close();
    await pack.index.close();
    // An index entry that was cut short would shift all that come after it: such a pack stays as it is.
    if (indexed % entryBytes !== 0) return;
    this.#indexed.set(pack.name, indexed);
    const path = join(this.#directory, pack.name);
    await rename(path + openSuffix, path);
  }

  #reader(name: string): Promise<FileHandle> {
    const known = this.#readers.get(name);
    if (known !== undefined) return known;
    const reader = this.#openForReading(name);
    this.#readers.set(name, reader);
    reader.catch(() => this.#readers.delete(name));
    return reader;
  }

  async #openForReading(name: string): Promise<FileHandle> {
    // Its name may change between the two tries, but not twice.
    for (const suffix of ['', openSuffix]) {
      const found = await open(join(this.#directory, name + suffix, 'data')).catch((error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
      });
      if (found !== undefined) return found;
    }
    return open(join(this.#directory, name, 'data'));
  }

  /** Runs on the pack under the name it has now; undefined when it is gone. */
  async #find<T>(name: string, action: (path: string) => Promise<T>): Promise<T | undefined> {
    for (const suffix of ['', openSuffix]) {
      try {
        return await action(join(this.#directory, name + suffix));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
      }
    }
    return undefined;
  }
}

function keyOf(item: StoredItem): string {
  return `${item.kind}/${item.digest}`;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  });
}

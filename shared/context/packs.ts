/** Small contents share append-only files, because a file for each costs ten times as much. */
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { systemCode } from '../errors.ts';
import { freeName, stateOf } from '../holder.ts';
import { decodeEntry, entryBytes } from './pack-format.ts';
import { PackIndex, type PackedItem } from './pack-index.ts';
import { PackWriter } from './pack-writer.ts';
import { abandonedAfter, absent } from './store-files.ts';
import type { Digest } from './tree.ts';

/** What a sweep has to know of a pack. */
export interface PackUsage {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** Entries of an index that are read at a time. */
const readEntries = 4096;
/** Times that a pack is looked for: it has another name when somebody begins or ends to append to it. */
const maxLooks = 4;

export class Packs {
  readonly #directory: string;
  readonly #locations = new PackIndex();
  /** Bytes of each pack's index that are known here. */
  readonly #indexed = new Map<string, number>();
  readonly #readers = new Map<string, Promise<FileHandle | undefined>>();
  /** Packs that were used since their times were last set. */
  readonly #used = new Set<string>();
  readonly #writer: PackWriter;

  constructor(directory: string) {
    this.#directory = directory;
    this.#writer = new PackWriter(directory, {
      written: (pack, entries) => {
        for (const entry of entries) this.#index(pack, entry);
      },
      finished: (pack, indexed) => void this.#indexed.set(pack, indexed),
      lost: (pack) => this.#forgetPack(pack),
    });
  }

  /** Whether it is here. Whoever asks relies on it from now on: its pack counts as used. */
  use(item: PackedItem): boolean {
    const pack = this.packOf(item);
    if (pack !== undefined) this.#used.add(pack);
    return pack !== undefined;
  }

  /** The name of the pack that holds it. */
  packOf(item: PackedItem): string | undefined {
    return this.#locations.get(item)?.pack;
  }

  forget(item: PackedItem): void {
    this.#locations.delete(item);
  }

  /** Bytes as they lie there, unverified; undefined where they are gone. */
  async read(item: PackedItem): Promise<Buffer | undefined> {
    const location = this.#locations.get(item);
    if (location === undefined) return undefined;
    this.#used.add(location.pack);
    const reader = await this.#reader(location.pack);
    if (reader === undefined) {
      // Another process evicted the pack.
      this.forget(item);
      return undefined;
    }
    const content = Buffer.alloc(location.size);
    const { bytesRead } = await reader.read(content, 0, location.size, location.offset);
    return content.subarray(0, bytesRead);
  }

  /** Resolves when it is written. */
  append(item: PackedItem, content: Buffer): Promise<void> {
    return this.#writer.append(item, content);
  }

  /** Learns what other processes have added and removed, and leaves them what was added here. */
  async refresh(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await this.#writer.rest();
    // In order of age: of two copies, the younger is the one that replaced a broken one.
    const found = new Map(
      (await readdir(this.#directory)).toSorted().map((entry) => [freeName(entry), entry]),
    );
    for (const name of this.#indexed.keys()) {
      if (found.has(name) || name === this.#writer.pack) continue;
      // A listing may miss what is renamed meanwhile.
      if ((await this.#find(name, stat)) === undefined) await this.#forgetPack(name);
    }
    for (const [name, entry] of found) {
      if (name !== this.#writer.pack) await this.#readIndex(name, join(this.#directory, entry, 'index'));
    }
  }

  /** All packs but the one being written. */
  async usage(): Promise<PackUsage[]> {
    const packs: PackUsage[] = [];
    for (const name of this.#indexed.keys()) {
      if (name === this.#writer.pack) continue;
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

  /** False when it was used since it was looked at, somebody appends to it, or one of its digests is pinned. */
  async remove(seen: PackUsage, isPinned: (digest: Digest) => boolean): Promise<boolean> {
    const { name } = seen;
    const isRemoved = await this.#find(name, async (path) => {
      if (mayBeOpen(path, seen) || (await hasChanged(path, seen))) return false;
      if (this.#used.has(name) || this.#locations.some(name, isPinned)) return false;
      // Renamed first: a pack that is half removed must not be read.
      const doomed = join(this.#directory, '..', 'temp', `${name}-removed`);
      await rename(path, doomed);
      // Between the look and the renaming.
      if ((await hasChanged(doomed, seen)) || this.#used.has(name)) {
        await rename(doomed, path);
        return false;
      }
      await this.#forgetPack(name);
      await rm(doomed, { recursive: true, force: true });
      return true;
    });
    if (isRemoved === undefined) await this.#forgetPack(name);
    return isRemoved ?? true;
  }

  async close(): Promise<void> {
    await this.#writer.rest();
    await this.touchUsed();
    for (const reader of this.#readers.values()) await reader.then((handle) => handle?.close());
    this.#readers.clear();
  }

  /** What was added since it was last read. */
  async #readIndex(name: string, path: string): Promise<void> {
    const file = await open(path).catch(absent);
    if (file === undefined) return;
    try {
      const entries = Buffer.allocUnsafe(entryBytes * readEntries);
      for (;;) {
        const from = this.#indexed.get(name) ?? 0;
        const { bytesRead } = await file.read(entries, 0, entries.length, from);
        const whole = bytesRead - (bytesRead % entryBytes);
        for (let at = 0; at < whole; at += entryBytes) {
          this.#index(name, entries.subarray(at, at + entryBytes));
        }
        this.#indexed.set(name, from + whole);
        if (whole < entries.length) return;
      }
    } finally {
      await file.close();
    }
  }

  #index(pack: string, entry: Buffer): void {
    const decoded = decodeEntry(entry);
    if (decoded !== undefined) this.#locations.set(decoded.item, { pack, ...decoded.extent });
  }

  async #forgetPack(name: string): Promise<void> {
    this.#locations.deletePack(name);
    this.#indexed.delete(name);
    const reader = this.#readers.get(name);
    this.#readers.delete(name);
    await reader?.then((handle) => handle?.close());
  }

  /** Undefined when the pack is gone. */
  #reader(name: string): Promise<FileHandle | undefined> {
    const known = this.#readers.get(name);
    if (known !== undefined) return known;
    const reader = this.#find(name, (path) => open(join(path, 'data')));
    this.#readers.set(name, reader);
    const forget = (): void => void this.#readers.delete(name);
    reader.then((handle) => handle ?? forget(), forget);
    return reader;
  }

  /** Runs on the pack under the name it has now; undefined when it is gone. */
  async #find<T>(name: string, action: (path: string) => Promise<T>): Promise<T | undefined> {
    for (let look = 0; look < maxLooks; look++) {
      const entry = look === 0 ? name : await this.#entryOf(name);
      if (entry === undefined) continue;
      try {
        return await action(join(this.#directory, entry));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
      }
    }
    return undefined;
  }

  async #entryOf(name: string): Promise<string | undefined> {
    return (await readdir(this.#directory)).find((entry) => freeName(entry) === name);
  }
}

/** Whether a process appends to it, as far as can be known. */
function mayBeOpen(path: string, { usedAt }: PackUsage): boolean {
  const state = stateOf(basename(path));
  return state === 'running' || (state === 'unknown' && Date.now() - usedAt < abandonedAfter);
}

async function hasChanged(path: string, { bytes, usedAt }: PackUsage): Promise<boolean> {
  const { size, mtimeMs } = await stat(join(path, 'data'));
  return size !== bytes || mtimeMs > usedAt;
}

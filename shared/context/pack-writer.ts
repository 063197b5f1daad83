/** Appends to one pack after the other. What is added while a write goes on goes into one write after it. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { freeName, heldName, newHolder, stateOf } from '../holder.ts';
import { encodeEntry, entryBytes, packBytes } from './pack-format.ts';
import type { PackedItem } from './pack-index.ts';
import { absent } from './store-files.ts';

export interface PackWriterEvents {
  /** Entries of the pack's index are on disk, and so is what they stand for. */
  written(pack: string, entries: readonly Buffer[]): void;
  /** Nothing more is added to the pack by this process: so many bytes of its index are known. */
  finished(pack: string, indexed: number): void;
  /** The pack was evicted while it was open here, by a process that cannot see this one. */
  lost(pack: string): Promise<void>;
}

interface Writing {
  readonly name: string;
  readonly data: FileHandle;
  readonly index: FileHandle;
  /** Bytes of both that hold whole items. */
  bytes: number;
  indexed: number;
}

interface Batch {
  readonly items: { readonly item: PackedItem; readonly content: Buffer }[];
  readonly written: Promise<void>;
}

export class PackWriter {
  readonly #directory: string;
  readonly #events: PackWriterEvents;
  readonly #holder = newHolder();
  #writing: Writing | undefined;
  #batch: Batch | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(directory: string, events: PackWriterEvents) {
    this.#directory = directory;
    this.#events = events;
  }

  /** The pack that is open. */
  get pack(): string | undefined {
    return this.#writing?.name;
  }

  /** Resolves when data and index are written. */
  append(item: PackedItem, content: Buffer): Promise<void> {
    this.#batch ??= this.#nextBatch();
    this.#batch.items.push({ item, content });
    return this.#batch.written;
  }

  /** Ends the open pack, which the next content may go on with. Nobody else evicts one that is open. */
  rest(): Promise<void> {
    const rested = this.#last.then(() => this.#finish());
    this.#last = rested.catch(() => {});
    return rested;
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
    if (this.#writing !== undefined && this.#writing.bytes >= packBytes) await this.#finish();
    const pack = (this.#writing ??= await this.#start());
    let end = pack.bytes;
    const entries = items.map(({ item, content }) => {
      const entry = encodeEntry(item, { offset: end, size: content.length });
      end += content.length;
      return entry;
    });
    try {
      await writeAll(
        pack.data,
        items.map(({ content }) => content),
      );
      await pack.index.appendFile(Buffer.concat(entries));
    } catch (error) {
      await this.#takeBack(pack).catch(() => {});
      throw error;
    }
    pack.bytes = end;
    pack.indexed += entries.length * entryBytes;
    this.#events.written(pack.name, entries);
  }

  /** A write that failed, on a full disk as a rule, may have left a part of itself. */
  async #takeBack(pack: Writing): Promise<void> {
    try {
      await pack.index.truncate(pack.indexed);
      await pack.data.truncate(pack.bytes);
    } finally {
      await this.#finish();
    }
  }

  /** Goes on with a pack that a process has left, so that many short runs do not leave many packs. */
  async #start(): Promise<Writing> {
    for (const entry of await readdir(this.#directory)) {
      if (!['free', 'gone'].includes(stateOf(entry))) continue;
      const data = await stat(join(this.#directory, entry, 'data')).catch(absent);
      if (data !== undefined && data.size >= packBytes / 2) continue;
      const name = freeName(entry);
      // Only one process can succeed in this.
      const taken = await rename(join(this.#directory, entry), this.#pathOf(name)).then(
        () => true,
        () => false,
      );
      if (taken) return this.#open(name);
    }
    // By age: of two copies, the younger is the one that replaced a broken one.
    const name = `${Date.now().toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`;
    await mkdir(this.#pathOf(name));
    return this.#open(name);
  }

  async #open(name: string): Promise<Writing> {
    const path = this.#pathOf(name);
    let data: FileHandle | undefined;
    let index: FileHandle | undefined;
    try {
      data = await open(join(path, 'data'), 'a', 0o600);
      index = await open(join(path, 'index'), 'a', 0o600);
      const [{ size: bytes }, { size }] = [await data.stat(), await index.stat()];
      // An entry that was cut short, by a failure of power, would shift all that come after it.
      const indexed = size - (size % entryBytes);
      if (indexed !== size) await index.truncate(indexed);
      return { name, data, index, bytes, indexed };
    } catch (error) {
      await data?.close();
      await index?.close();
      // For the next who looks for one to go on with.
      await rename(path, join(this.#directory, name));
      throw error;
    }
  }

  async #finish(): Promise<void> {
    const pack = this.#writing;
    if (pack === undefined) return;
    this.#writing = undefined;
    this.#events.finished(pack.name, pack.indexed);
    const { size } = await pack.index.stat();
    await pack.data.close();
    await pack.index.close();
    // What could not be taken back stays where nobody adds to it.
    if (size % entryBytes !== 0) return;
    const path = join(this.#directory, pack.name);
    const isThere = await rename(this.#pathOf(pack.name), path).then(() => true, absent);
    if (isThere === undefined) await this.#events.lost(pack.name);
  }

  /** Of a pack that is open here. */
  #pathOf(name: string): string {
    return join(this.#directory, heldName(name, this.#holder));
  }
}

/** Appends them as they are: joined first, each would be copied once more. */
async function writeAll(file: FileHandle, contents: readonly Buffer[]): Promise<void> {
  for (let rest = contents; rest.length > 0;) {
    let { bytesWritten } = await file.writev(rest);
    // It may have ended anywhere.
    let written = 0;
    for (; written < rest.length && bytesWritten >= rest[written]!.length; written++) {
      bytesWritten -= rest[written]!.length;
    }
    rest = rest.slice(written);
    if (rest[0] !== undefined) rest = [rest[0].subarray(bytesWritten), ...rest.slice(1)];
  }
}

/**
 * Chooses the modification times that an engine is told.
 *
 * BuildKit compares a file with the copy it kept by path, mode, size and mtime alone, so those must never stand
 * for two contents. A record per context key remembers what was served: an unchanged file keeps its old mtime
 * (a fresh clone then moves nothing), and a changed one that would look unchanged gets nanoseconds of its own.
 * Engines keep their copy under the record's shared key. A record that cannot be trusted is replaced by one with
 * a new shared key, under which an engine has no copy yet.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { decodeRecord, encodeEntry, encodeHeader, type RecordEntry } from './mtime-record.ts';

/** Whichever is reached first; a record beyond it is begun anew. */
const maxRecordBytes = 64 << 20;
const maxRecords = 256;

export interface ServedFile {
  readonly mode: number;
  readonly size: number;
  readonly digest: Digest;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

/** What one directory of records gives out. Builds of one key at once share one record. */
export class MtimeStore {
  readonly #directory: string;
  readonly #open = new Map<string, { users: number; readonly record: Promise<MtimeRecord> }>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Dispose of the record when the build has ended. */
  async open(contextKey: string): Promise<MtimeLease> {
    const name = createHash('sha256').update(contextKey).digest('hex');
    const entry = this.#open.get(name) ?? { users: 0, record: this.#load(name, contextKey) };
    this.#open.set(name, entry);
    entry.users += 1;
    const release = async (): Promise<void> => {
      entry.users -= 1;
      const record = await entry.record;
      // Whoever opens it meanwhile joins this one: a second reader could miss what is still being written.
      await record.settled();
      if (entry.users > 0 || this.#open.get(name) !== entry) return;
      this.#open.delete(name);
      await record.close();
    };
    try {
      const record = await entry.record;
      return {
        sharedKey: record.sharedKey,
        serve: (path, file) => record.serve(path, file),
        flush: () => record.flush(),
        [Symbol.asyncDispose]: release,
      };
    } catch (error) {
      entry.users -= 1;
      this.#open.delete(name);
      throw error;
    }
  }

  async #load(name: string, contextKey: string): Promise<MtimeRecord> {
    const path = join(this.#directory, name);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      return (await reopen(path, contextKey)) ?? (await this.#create(path, contextKey));
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  async #create(path: string, contextKey: string): Promise<MtimeRecord> {
    await this.#makeRoom();
    await rm(path, { recursive: true, force: true });
    const generation = randomBytes(16).toString('hex');
    const file = await open(path, 'ax', 0o600);
    await file.appendFile(encodeHeader(generation));
    return new MtimeRecord({ path, file, entries: [], sharedKey: sharedKeyOf(contextKey, generation) });
  }

  /** Forgetting a record is always safe: its next build starts a new key. */
  async #makeRoom(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => !this.#open.has(name));
    if (names.length < maxRecords) return;
    const used = await Promise.all(
      names.map(async (name) => ({ name, at: (await stat(join(this.#directory, name))).mtimeMs })),
    );
    used.sort((left, right) => left.at - right.at);
    for (const { name } of used.slice(0, names.length - maxRecords + 1)) {
      await rm(join(this.#directory, name), { recursive: true, force: true });
    }
  }
}

/** One build's use of a record. Nothing may be told to the engine before `flush` has resolved after it. */
export interface MtimeLease extends AsyncDisposable {
  /** What the engine keeps its copy under. */
  readonly sharedKey: string;
  /** The mtime to tell for a file. Paths start with the name of the tree they are in. */
  serve(path: string, file: ServedFile): bigint;
  flush(): Promise<void>;
}

class MtimeRecord {
  readonly sharedKey: string;
  readonly #path: string;
  readonly #file: FileHandle;
  /** By path: each way it was served, the last one at the end. */
  readonly #served = new Map<string, ServedFile[]>();
  #unwritten: RecordEntry[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(options: RecordOptions) {
    this.sharedKey = options.sharedKey;
    this.#path = options.path;
    this.#file = options.file;
    for (const entry of options.entries) this.#remember(entry);
  }

  serve(path: string, file: ServedFile): bigint {
    const served = this.#served.get(path) ?? [];
    const last = served.at(-1);
    if (last?.digest === file.digest && last.mode === file.mode) return last.mtime;
    let mtime = file.mtime;
    for (let attempt = 0n; isTaken(served, { ...file, mtime }); attempt += 1n) {
      mtime = derivedMtime(file, attempt);
    }
    this.#add({ path, ...file, mtime });
    return mtime;
  }

  async flush(): Promise<void> {
    if (this.#unwritten.length > 0) {
      const text = this.#unwritten.map(encodeEntry).join('');
      this.#unwritten = [];
      this.#writing = this.#writing.then(() => this.#write(text));
    }
    // Also what a build beside this one chose, and this one took over as known.
    await this.#writing;
  }

  /** When nothing is being written any more, however that went. */
  settled(): Promise<void> {
    return this.#writing.catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** On disk before the engine hears of it: what it was told and we forgot would be a stale image. */
  async #write(text: string): Promise<void> {
    try {
      await this.#file.appendFile(text);
      await this.#file.datasync();
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  #add(entry: RecordEntry): void {
    this.#remember(entry);
    this.#unwritten.push(entry);
  }

  #remember({ path, ...file }: RecordEntry): void {
    const served = this.#served.get(path);
    if (served === undefined) this.#served.set(path, [file]);
    else served.push(file);
  }
}

interface RecordOptions {
  readonly path: string;
  readonly file: FileHandle;
  readonly entries: readonly RecordEntry[];
  readonly sharedKey: string;
}

/** Undefined for a record that is not there, or cannot be trusted. */
async function reopen(path: string, contextKey: string): Promise<MtimeRecord | undefined> {
  const found = await open(path, 'r+').catch(() => undefined);
  if (found === undefined) return undefined;
  await using file = found;
  const { size } = await file.stat();
  const decoded = size > maxRecordBytes ? undefined : decodeRecord(await file.readFile());
  if (decoded === undefined) return undefined;
  // A torn last line was never served: nothing was, before it was whole.
  await file.truncate(decoded.length);
  return new MtimeRecord({
    path,
    file: await open(path, 'a', 0o600),
    entries: decoded.entries,
    sharedKey: sharedKeyOf(contextKey, decoded.generation),
  });
}

/** Whether the engine would take this for another content that it was served. */
function isTaken(served: readonly ServedFile[], { mode, size, mtime, digest }: ServedFile): boolean {
  return served.some(
    (other) => other.mode === mode && other.size === size && other.mtime === mtime && other.digest !== digest,
  );
}

/** The second stays: layers keep only that, and a step that orders by time sees the least change. */
function derivedMtime({ mtime, digest }: ServedFile, attempt: bigint): bigint {
  const billion = 1_000_000_000n;
  const nanoseconds = ((mtime % billion) + billion) % billion;
  const derived = (BigInt(`0x${digest.slice(-15)}`) + attempt) % billion;
  return mtime - nanoseconds + derived;
}

function sharedKeyOf(contextKey: string, generation: string): string {
  return createHash('sha256').update(`${generation} ${contextKey}`).digest('hex');
}

function cannotWrite(path: string, cause: unknown): ArchfarmError {
  if (cause instanceof ArchfarmError) return cause;
  const full = ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '');
  return new ArchfarmError(full ? 'disk-full' : 'internal', `cannot write ${path}`, { cause });
}

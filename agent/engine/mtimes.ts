/**
 * Chooses the modification times that an engine is told.
 *
 * BuildKit compares a file with the copy it kept by path, mode, size and mtime alone, so those must never stand
 * for two contents. A record per context key remembers what was served: an unchanged file keeps its old mtime
 * (a fresh clone then moves nothing), and a changed one that would look unchanged gets nanoseconds of its own.
 * Engines keep their copy under the record's shared key. A record that cannot be trusted is replaced by one with
 * a new shared key, under which an engine has no copy yet. One that another process has open is left to that one, as
 * nothing here would know what it tells the engine meanwhile: there is a second record then, with a key of its own.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import { HeldFiles, type HeldFile } from './held-files.ts';
import { appendWays, createRecord, openRecord, type OpenRecord } from './mtime-record.ts';
import type { ServedFile, ServedFiles } from './served-files.ts';

const maxRecords = 256;

export interface MtimeLimits {
  /**
   * Ways of serving a file that a record may hold: 60 bytes of disk and 70 of memory each. One beyond it is dropped, unless
   * the files of a single build are half of it: they would only fill the next one again.
   */
  readonly ways: number;
}

const defaultLimits: MtimeLimits = { ways: 750_000 };

/** What one directory of records gives out. Builds of one key at once share one record; those of another process have another. */
export class MtimeStore {
  readonly #directory: string;
  readonly #files: HeldFiles;
  readonly #limits: MtimeLimits;
  readonly #open = new Map<string, { users: number; readonly record: Promise<MtimeRecord> }>();
  readonly #closing = new Map<string, Promise<void>>();

  constructor(directory: string, limits: MtimeLimits = defaultLimits) {
    this.#directory = directory;
    this.#files = new HeldFiles(directory);
    this.#limits = limits;
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
      const closed = record.close(this.#limits);
      this.#closing.set(name, closed);
      await closed.finally(() => this.#closing.delete(name));
    };
    try {
      const record = await entry.record;
      return new RecordLease(record, release);
    } catch (error) {
      entry.users -= 1;
      this.#open.delete(name);
      throw error;
    }
  }

  async #load(name: string, contextKey: string): Promise<MtimeRecord> {
    try {
      await this.#closing.get(name);
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const held = await this.#files.take(name);
      try {
        const opened = (await openRecord(held.path)) ?? (await this.#create(held.path));
        return new MtimeRecord({ ...opened, held, sharedKey: sharedKeyOf(contextKey, opened.generation) });
      } catch (error) {
        await held.release().catch(() => {});
        throw error;
      }
    } catch (error) {
      throw cannotWrite(this.#directory, error);
    }
  }

  /** Forgetting a record is always safe: its next build starts a new key. */
  async #create(path: string): Promise<OpenRecord> {
    await this.#files.makeRoom(maxRecords);
    await rm(path, { recursive: true, force: true });
    return createRecord(path);
  }
}

/** One build's use of a record. Nothing may be told to the engine before `flush` has resolved after it. */
export interface MtimeLease extends AsyncDisposable {
  /** What the engine keeps its copy under. */
  readonly sharedKey: string;
  /** Chooses how to tell of a file, and gives a number that stands for that. Paths start with the name of their tree. */
  serve(path: string, file: ServedFile): number;
  /** What was ever told, by number. */
  readonly ways: Pick<ServedFiles, 'mode' | 'bytes' | 'mtime' | 'digest' | 'history'>;
  /** Throws `disk-full`. */
  flush(): Promise<void>;
}

class RecordLease implements MtimeLease {
  readonly sharedKey: string;
  readonly #record: MtimeRecord;
  readonly #release: () => Promise<void>;
  #count = 0;

  constructor(record: MtimeRecord, release: () => Promise<void>) {
    this.sharedKey = record.sharedKey;
    this.#record = record;
    this.#release = release;
  }

  serve(path: string, file: ServedFile): number {
    this.#count += 1;
    return this.#record.ways.serve(path, file);
  }

  get ways(): ServedFiles {
    return this.#record.ways;
  }

  flush(): Promise<void> {
    return this.#record.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#record.noteBuild(this.#count);
    await this.#release();
  }
}

class MtimeRecord {
  readonly sharedKey: string;
  readonly ways: ServedFiles;
  readonly #held: HeldFile;
  readonly #file: OpenRecord['file'];
  #writing: Promise<void> = Promise.resolve();
  /** Files of the largest build that used it. */
  #largestBuild = 0;

  constructor(options: OpenRecord & { readonly held: HeldFile; readonly sharedKey: string }) {
    this.sharedKey = options.sharedKey;
    this.ways = options.served;
    this.#held = options.held;
    this.#file = options.file;
  }

  noteBuild(files: number): void {
    this.#largestBuild = Math.max(this.#largestBuild, files);
  }

  async flush(): Promise<void> {
    const changed = this.ways.takeChanged();
    if (changed.length > 0) this.#writing = this.#writing.then(() => this.#write(changed));
    // Also what a build beside this one chose, and this one took over as known.
    await this.#writing;
  }

  /** When nothing is being written any more, however that went. */
  settled(): Promise<void> {
    return this.#writing.catch(() => undefined);
  }

  async close(limits: MtimeLimits): Promise<void> {
    if (this.ways.size > Math.max(limits.ways, 2 * this.#largestBuild)) {
      await rm(this.#held.path, { force: true });
    }
    await this.#file.close();
    await this.#held.release();
  }

  /** On disk before the engine hears of it: what it was told and we forgot would be a stale image. */
  async #write(changed: readonly number[]): Promise<void> {
    try {
      await appendWays(this.#file, this.ways, changed);
    } catch (error) {
      throw cannotWrite(this.#held.path, error);
    }
  }
}

function sharedKeyOf(contextKey: string, generation: string): string {
  return createHash('sha256').update(`${generation} ${contextKey}`).digest('hex');
}

function cannotWrite(path: string, cause: unknown): ArchfarmError {
  if (cause instanceof ArchfarmError) return cause;
  const full = ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '');
  return new ArchfarmError(full ? 'disk-full' : 'internal', `cannot write ${path}`, { cause });
}

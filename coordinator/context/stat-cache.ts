/** Remembers digests between scans, so that a file which `stat` shows to be the same is not read again. */
import { createHash, randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../shared/context/tree.ts';
import { fingerprintOf, StatTable, type Fingerprint } from './stat-table.ts';

/**
 * A file that changed so shortly before the scan may change again under the same times: clocks of file systems tick
 * slowly, some only every two seconds.
 */
const youngMilliseconds = 2000;
/** Bounds of the directory that holds one file for each context. */
const maxCaches = 64;
const maxCacheBytes = 256 * 1024 * 1024;
const maxAgeMilliseconds = 30 * 24 * 60 * 60 * 1000;

/** The parts that a scan's name is made of: the context, and what else decides which of its files are seen. */
export type CacheKey = readonly string[];

export class StatCache {
  readonly #directory: string;
  readonly #path: string;
  readonly #table: StatTable;
  readonly #trustedBefore: bigint;
  readonly #scratch = Buffer.alloc(40);

  private constructor(options: { directory: string; path: string; bytes: Buffer; now: number }) {
    this.#directory = options.directory;
    this.#path = options.path;
    this.#table = new StatTable(options.bytes);
    this.#trustedBefore = BigInt(options.now - youngMilliseconds) * 1_000_000n;
  }

  /** To be opened before the first `stat`. A cache that is missing, broken or unreadable is an empty one. */
  static async open(directory: string, key: CacheKey, now = Date.now()): Promise<StatCache> {
    const name = createHash('sha256').update(key.join('\0')).digest('hex').slice(0, 32);
    const path = join(directory, name);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    return new StatCache({ directory, path, bytes, now });
  }

  find(found: BigIntStats): Digest | undefined {
    return this.#table.find(fingerprintOf(found, this.#scratch));
  }

  /** What to remember the file by once it is hashed; undefined when it is too young to be trusted. */
  fingerprint(found: BigIntStats): Fingerprint | undefined {
    return found.ctimeNs < this.#trustedBefore ? fingerprintOf(found) : undefined;
  }

  add(fingerprint: Fingerprint, digest: Digest): void {
    this.#table.add(fingerprint, digest);
  }

  /** Never fails: a build does not depend on its cache. */
  async save(): Promise<void> {
    try {
      // Files that are gone stay on record until half are: rewriting costs more than keeping them.
      if (this.#table.addedCount === 0 && this.#table.usedCount * 2 >= this.#table.count)
        return await this.#touch();
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const temporary = `${this.#path}.${randomUUID()}`;
      try {
        await writeFile(temporary, this.#table.encode(), { mode: 0o600, flag: 'wx' });
        await rename(temporary, this.#path);
      } finally {
        await rm(temporary, { force: true });
      }
      await removeOldest(this.#directory);
    } catch {
      // A full disk or a read-only home: the next scan hashes again.
    }
  }

  /** The time of a cache is that of its last use. */
  async #touch(): Promise<void> {
    const now = new Date();
    await utimes(this.#path, now, now);
  }
}

/** Also takes away what processes left that were killed while they wrote. */
async function removeOldest(directory: string): Promise<void> {
  const names = await readdir(directory);
  const caches = await Promise.all(names.map((name) => describe(join(directory, name))));
  const newestFirst = caches.filter((cache) => cache !== undefined).toSorted((a, b) => b.used - a.used);
  let bytes = 0;
  for (const [index, { path, size, used }] of newestFirst.entries()) {
    bytes += size;
    const expired = used < Date.now() - maxAgeMilliseconds;
    if (index >= maxCaches || bytes > maxCacheBytes || expired) await rm(path, { force: true });
  }
}

async function describe(path: string): Promise<{ path: string; size: number; used: number } | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { path, size, used: mtimeMs };
  } catch {
    // Another process was faster.
    return undefined;
  }
}

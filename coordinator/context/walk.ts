/** Finds what of a directory belongs to a context: everything that the ignore rules leave and a tree can hold. */
import { lstat as lstatWithCallback, type BigIntStats } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Matcher, WalkState } from '../../shared/context/ignore.ts';
import { checkLimit, type ContextLimits } from '../../shared/context/limits.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import { fileError, type ContextFile } from './context-file.ts';
import type { StatCache } from './stat-cache.ts';
import type { Fingerprint } from './stat-table.ts';

export interface FoundEntry {
  readonly name: string;
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

export interface FoundFile extends FoundEntry {
  readonly type: 'file';
  readonly file: ContextFile;
  /** The same for all names of one file; undefined when it has only one. */
  readonly identity: string | undefined;
  /** What an earlier scan found in it, where it is the same still. */
  readonly known: Digest | undefined;
  /** What to remember its digest by. */
  readonly fingerprint: Fingerprint | undefined;
}

export interface FoundLink extends FoundEntry {
  readonly type: 'symlink';
  readonly target: string;
}

export interface FoundDirectory extends FoundEntry {
  readonly type: 'directory';
  readonly children: readonly Found[];
}

export type Found = FoundFile | FoundLink | FoundDirectory;

/** Always part of the tree, since BuildKit reads it from there. */
export const ignoreFile = '.dockerignore';

/**
 * Entries of one directory that are looked at together. More does not help, as Node has four threads for files, and
 * each that waits takes memory.
 */
const parallelEntries = 64;

/** Half the price of that in `node:fs/promises`, and most of what a scan of an unchanged tree does. */
const lstat = promisify(lstatWithCallback);

/** A directory of the walk. */
interface Place {
  /** From the root of the context; empty for the root. */
  readonly path: string;
  readonly state: WalkState;
  /** Looked into only for what `!` patterns take back. */
  readonly ignored: boolean;
}

export class Walk {
  /** Sockets, pipes and devices, which no image can hold. */
  readonly skipped: string[] = [];
  readonly #root: string;
  readonly #matcher: Matcher;
  readonly #limits: ContextLimits;
  readonly #signal: AbortSignal;
  readonly #cache: StatCache | undefined;
  readonly #counted = new Set<string>();
  #entries = 0;
  #bytes = 0;

  constructor(
    root: string,
    options: {
      readonly matcher: Matcher;
      readonly limits: ContextLimits;
      readonly cache: StatCache | undefined;
      readonly signal: AbortSignal;
    },
  ) {
    this.#root = root;
    this.#matcher = options.matcher;
    this.#limits = options.limits;
    this.#cache = options.cache;
    this.#signal = options.signal;
  }

  /** Entries of the root, in the order of a tree. */
  run(): Promise<readonly Found[]> {
    return this.#list({ path: '', state: this.#matcher.root, ignored: false });
  }

  async #list(place: Place): Promise<readonly Found[]> {
    const names = (await this.#names(place)).toSorted((left, right) => left.compare(right));
    const found: Found[] = [];
    for (let at = 0; at < names.length; at += parallelEntries) {
      this.#signal.throwIfAborted();
      const slice = names.slice(at, at + parallelEntries);
      const entries = await Promise.all(slice.map((name) => this.#visit(place, name)));
      found.push(...entries.filter((entry) => entry !== undefined));
    }
    return found;
  }

  async #names({ path, ignored }: Place): Promise<Buffer[]> {
    try {
      return await readdir(join(this.#root, path), { encoding: 'buffer' });
    } catch (error) {
      if (ignored && systemCode(error) === 'EACCES') return [];
      throw fileError(error, path === '' ? this.#root : path);
    }
  }

  async #visit(parent: Place, rawName: Buffer): Promise<Found | undefined> {
    const name = rawName.toString('utf8');
    const path = parent.path === '' ? name : `${parent.path}/${name}`;
    const absolute = join(this.#root, path);
    const isText = Buffer.from(name).equals(rawName);
    const stat = isText ? await this.#stat(absolute, path) : undefined;
    if (stat?.isDirectory() === true) return this.#enter(parent, { name, path, stat });
    if (path !== ignoreFile && this.#matcher.matches(parent.state, name)) return undefined;
    if (stat === undefined) {
      throw new ArchfarmError('context-invalid', `the name ${JSON.stringify(path)} is not UTF-8`, {
        hint: 'rename it or leave it out with .dockerignore',
      });
    }
    if (stat.isSymbolicLink()) {
      this.#count(path);
      const target = await this.#readLink(absolute, path);
      return { type: 'symlink', ...entryOf(name, stat), target };
    }
    if (!stat.isFile()) {
      this.skipped.push(path);
      return undefined;
    }
    const identity = stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : undefined;
    this.#count(path, { bytes: Number(stat.size), identity });
    const file = { path: absolute, name: path, size: Number(stat.size), mtime: stat.mtimeNs };
    const known = this.#cache?.find(stat);
    const fingerprint = known === undefined ? this.#cache?.fingerprint(stat) : undefined;
    return { type: 'file', ...entryOf(name, stat), file, identity, known, fingerprint };
  }

  async #enter(
    parent: Place,
    { name, path, stat }: { name: string; path: string; stat: BigIntStats },
  ): Promise<FoundDirectory | undefined> {
    const { matched, state } = this.#matcher.enter(parent.state, name);
    if (matched && !this.#matcher.reaches(path, { negated: true })) return undefined;
    const children = await this.#list({ path, state, ignored: matched });
    if (matched && children.length === 0) return undefined;
    this.#count(path);
    return { type: 'directory', ...entryOf(name, stat), children };
  }

  async #stat(absolute: string, path: string): Promise<BigIntStats> {
    try {
      return await lstat(absolute, { bigint: true });
    } catch (error) {
      throw fileError(error, path);
    }
  }

  async #readLink(absolute: string, path: string): Promise<string> {
    try {
      const raw = await readlink(absolute, { encoding: 'buffer' });
      const target = raw.toString('utf8');
      if (Buffer.from(target).equals(raw)) return target;
    } catch (error) {
      throw fileError(error, path);
    }
    throw new ArchfarmError(
      'context-invalid',
      `the link ${JSON.stringify(path)} has a target that is not UTF-8`,
    );
  }

  #count(path: string, file?: { readonly bytes: number; readonly identity: string | undefined }): void {
    const limits = this.#limits;
    checkLimit(limits, { limit: 'entries', value: ++this.#entries });
    checkLimit(limits, { limit: 'pathBytes', value: Buffer.byteLength(path), where: path });
    if (file === undefined || (file.identity !== undefined && this.#counted.has(file.identity))) return;
    if (file.identity !== undefined) this.#counted.add(file.identity);
    this.#bytes += file.bytes;
    checkLimit(limits, { limit: 'bytes', value: this.#bytes });
  }
}

function entryOf(name: string, stat: BigIntStats): FoundEntry {
  return { name, mode: Number(stat.mode) & 0o7777, mtime: stat.mtimeNs };
}

/** Writes what of a directory belongs to a context: everything that the ignore rules leave and a tree can hold. */
import { lstat as lstatWithCallback, lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Matcher, WalkState } from '../../shared/context/ignore.ts';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import { joined } from './directory-table.ts';
import type { ContextFile } from './context-file.ts';
import { fileError, isGone } from './file-error.ts';
import type { Hashing } from './hashing.ts';
import { LinkGroups } from './link-groups.ts';
import type { Pace } from './pace.ts';
import type { StatCache } from './stat-cache.ts';
import type { EntryAttributes, TreeWriter } from './tree-writer.ts';

export interface WalkOptions {
  readonly matcher: Matcher;
  readonly tree: TreeWriter;
  readonly hashing: Hashing;
  readonly cache: StatCache | undefined;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** Always part of the tree, since BuildKit reads it from there. */
export const ignoreFile = '.dockerignore';

/** Entries of one directory that are looked at together. */
const entriesAtOnce = 64;
/** Names of what was left out that are kept for the warning. */
const maxNamed = 10;

/** Half the price of that in `node:fs/promises`. */
const lstat = promisify(lstatWithCallback);

/** A directory of the walk. */
interface Place {
  /** From the root of the context; empty for the root. */
  readonly path: string;
  readonly absolute: string;
  readonly state: WalkState;
  /** Looked into only for what `!` patterns take back. */
  readonly ignored: boolean;
}

interface Candidate {
  readonly name: string;
  readonly path: string;
  readonly absolute: string;
  readonly matched: boolean;
}

/** Undefined for what is ignored and has gone. */
type Found = BigIntStats | undefined;

export class Walk {
  readonly #options: WalkOptions;
  readonly #links = new LinkGroups();
  readonly #skipped: string[] = [];
  #skippedCount = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Sockets, pipes and devices, which no image can hold: how many were left out, and some of their names. */
  get skipped(): { readonly count: number; readonly names: readonly string[] } {
    return { count: this.#skippedCount, names: this.#skipped };
  }

  /** Resolves when all entries are written; files may not be hashed yet. `root` is absolute. */
  run(root: string): Promise<void> {
    const { matcher } = this.#options;
    return this.#list({ path: '', absolute: root, state: matcher.root, ignored: false });
  }

  async #list(place: Place): Promise<void> {
    const { pace, signal } = this.#options;
    // Bytes of the names, one a character: the order of these strings is that of a tree.
    const names = (await this.#names(place)).toSorted(compareText);
    for (let at = 0; at < names.length; at += entriesAtOnce) {
      signal.throwIfAborted();
      await pace.breathe();
      const some = names.slice(at, at + entriesAtOnce);
      if (pace.isDirect) await this.#visitDirectly(place, some);
      else await this.#visitPooled(place, some);
    }
  }

  /** One by one: nothing of an entry is left for the garbage collector to carry along. */
  async #visitDirectly(place: Place, names: readonly string[]): Promise<void> {
    for (const name of names) {
      const candidate = this.#candidate(place, name);
      if (candidate === undefined) continue;
      const waiting = this.#visit(place, candidate, this.#statDirectly(candidate));
      // Most have nothing to wait for, and a promise for each shows where there are 100,000.
      if (waiting !== undefined) await waiting;
    }
  }

  async #visitPooled(place: Place, names: readonly string[]): Promise<void> {
    const candidates = names
      .map((name) => this.#candidate(place, name))
      .filter((found) => found !== undefined);
    const looked = candidates.map(async (candidate) => ({
      candidate,
      stat: await this.#statPooled(candidate),
    }));
    for (const { candidate, stat } of await Promise.all(looked)) await this.#visit(place, candidate, stat);
  }

  async #names({ path, absolute, ignored }: Place): Promise<readonly string[]> {
    const { isDirect } = this.#options.pace;
    try {
      return isDirect ? readdirSync(absolute, 'latin1') : await readdir(absolute, 'latin1');
    } catch (error) {
      if (ignored && (systemCode(error) === 'EACCES' || isGone(error))) return [];
      throw fileError(error, path === '' ? absolute : path);
    }
  }

  /** Undefined for what is left out whatever it is. */
  #candidate(place: Place, bytes: string): Candidate | undefined {
    const { matcher } = this.#options;
    const name = isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
    const path = joined(place.path, name);
    const matched = matcher.matches(place.state, name);
    if (matched && path !== ignoreFile && !matcher.reaches(path, { negated: true })) return undefined;
    if (name !== bytes && Buffer.from(name, 'utf8').toString('latin1') !== bytes) {
      throw new ArchfarmError('context-invalid', `the name ${JSON.stringify(path)} is not UTF-8`, {
        hint: 'rename it or leave it out with .dockerignore',
      });
    }
    return { name, path, absolute: `${place.absolute}/${name}`, matched };
  }

  #statDirectly(candidate: Candidate): Found {
    const started = performance.now();
    try {
      return lstatSync(candidate.absolute, { bigint: true });
    } catch (error) {
      return unlessMissed(error, candidate);
    } finally {
      this.#options.pace.made(1, performance.now() - started);
    }
  }

  async #statPooled(candidate: Candidate): Promise<Found> {
    this.#options.pace.made(1);
    try {
      return await lstat(candidate.absolute, { bigint: true });
    } catch (error) {
      return unlessMissed(error, candidate);
    }
  }

  /** Gives what there is to wait for before the next entry. */
  #visit(parent: Place, candidate: Candidate, stat: Found): Promise<void> | undefined {
    const { path, matched } = candidate;
    if (stat === undefined) return undefined;
    if (stat.isDirectory()) return this.#enter(parent, candidate, stat);
    if (matched && path !== ignoreFile) return undefined;
    if (stat.isFile()) return this.#file(candidate, stat);
    if (stat.isSymbolicLink()) return this.#symlink(candidate, stat);
    this.#skippedCount += 1;
    if (this.#skipped.length < maxNamed) this.#skipped.push(path);
    return undefined;
  }

  async #enter(parent: Place, candidate: Candidate, stat: BigIntStats): Promise<void> {
    const { matcher, tree } = this.#options;
    const { name, path, absolute } = candidate;
    const { matched, state } = matcher.enter(parent.state, name);
    if (matched && !matcher.reaches(path, { negated: true })) return;
    tree.enter(name);
    await this.#list({ path, absolute, state, ignored: matched });
    tree.leave(attributesOf(candidate, stat), { keepEmpty: !matched });
  }

  #file(candidate: Candidate, stat: BigIntStats): Promise<void> | undefined {
    const { tree, cache, hashing } = this.#options;
    const { name, absolute, path } = candidate;
    const { mode, mtime } = attributesOf(candidate, stat);
    const hasOtherNames = stat.nlink > 1n;
    const first = hasOtherNames ? this.#links.first(stat) : undefined;
    if (first !== undefined) {
      tree.hardlink({ name, mtime }, first);
      return undefined;
    }
    const size = Number(stat.size);
    // Not spread: of objects made like that, hundreds of thousands stay around for a while.
    const number = tree.file({ name, mode, mtime, size });
    if (hasOtherNames) this.#links.add(stat, number);
    const known = cache?.find(stat);
    if (known !== undefined) {
      tree.setDigest(number, known);
      return undefined;
    }
    const fingerprint = cache?.fingerprint(stat);
    const file: ContextFile = { path: absolute, name: path, size, mtime };
    return hashing.add({
      file,
      done(digest) {
        tree.setDigest(number, digest);
        if (fingerprint !== undefined) cache?.add(fingerprint, digest);
      },
    });
  }

  async #symlink(candidate: Candidate, stat: BigIntStats): Promise<void> {
    const { path } = candidate;
    const raw = await this.#rawTarget(candidate);
    const target = raw.toString('utf8');
    if (!Buffer.from(target).equals(raw)) {
      throw new ArchfarmError(
        'context-invalid',
        `the link ${JSON.stringify(path)} has a target that is not UTF-8`,
      );
    }
    this.#options.tree.symlink(attributesOf(candidate, stat), target);
  }

  async #rawTarget({ absolute, path }: Candidate): Promise<Buffer> {
    try {
      const { isDirect } = this.#options.pace;
      return isDirect ? readlinkSync(absolute, 'buffer') : await readlink(absolute, 'buffer');
    } catch (error) {
      throw fileError(error, path);
    }
  }
}

function attributesOf({ name }: Candidate, stat: BigIntStats): EntryAttributes {
  return { name, mode: Number(stat.mode) & 0o7777, mtime: stat.mtimeNs };
}

function unlessMissed(error: unknown, { path, matched }: Candidate): undefined {
  // It may be a lock of git's: looked at only because a `!` pattern could mean something below it.
  if (matched && path !== ignoreFile && isGone(error)) return undefined;
  throw fileError(error, path);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : 1;
}

function isAscii(bytes: string): boolean {
  return Buffer.byteLength(bytes, 'utf8') === bytes.length;
}

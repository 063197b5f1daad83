/** Makes a tree of a directory: finds what the ignore rules leave, hashes it, and encodes it from the leaves up. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeDirectory } from '../../shared/context/encoding.ts';
import { Matcher, parseIgnoreFile } from '../../shared/context/ignore.ts';
import { defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import type { Digest, TreeEntry } from '../../shared/context/tree.ts';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { fileError, hashFile, type ContextFile } from './context-file.ts';
import type { Snapshot } from './snapshot.ts';
import { StatCache } from './stat-cache.ts';
import { ignoreFile, Walk, type Found, type FoundFile } from './walk.ts';

export interface ScanOptions {
  /** Path of the Dockerfile: an ignore file of its own beside it replaces the context's. */
  readonly dockerfile?: string | undefined;
  readonly limits?: ContextLimits | undefined;
  /** Directory of the digests that scans remember; without one everything is hashed. */
  readonly statCache?: string | undefined;
  readonly signal: AbortSignal;
}

/** Files that are read at a time; each holds one chunk in memory. */
const parallelFiles = 16;
/** Names that a warning lists. */
const maxNamed = 10;

/** `directory` is absolute. Throws `context-invalid`, `context-changed` or `context-limit`, naming the path at fault. */
export async function scanContext(directory: string, options: ScanOptions): Promise<Snapshot> {
  const { signal, limits = defaultLimits } = options;
  await checkDirectory(directory);
  const { matcher, path } = await ignoreRules(directory, options);
  // Other rules see other files: contexts of one directory do not push each other out.
  const cache =
    options.statCache === undefined ? undefined : await StatCache.open(options.statCache, [directory, path]);
  const walk = new Walk(directory, { matcher, limits, cache, signal });
  const found = await walk.run();
  const digests = await hashAll(found, { cache, signal });
  await cache?.save();
  return {
    ...snapshotOf(found, digests),
    warnings: walk.skipped.length === 0 ? [] : [skippedWarning(walk.skipped)],
  };
}

/** `digests` has those of files that are not known yet. */
export function snapshotOf(
  found: readonly Found[],
  digests: ReadonlyMap<ContextFile, Digest> = new Map(),
): Snapshot {
  const tree = new TreeBuilder(digests);
  const root = tree.add('', found);
  const { directories, contents, files, bytes } = tree;
  return { root, directories, contents, files, bytes, warnings: [] };
}

interface IgnoreRules {
  readonly matcher: Matcher;
  /** Of the file that they come from; empty when there is none. */
  readonly path: string;
}

async function ignoreRules(directory: string, { dockerfile }: ScanOptions): Promise<IgnoreRules> {
  const own = dockerfile === undefined ? [] : [`${dockerfile}${ignoreFile}`];
  for (const path of [...own, join(directory, ignoreFile)]) {
    try {
      return { matcher: parseIgnoreFile(await readFile(path, 'utf8'), { name: path }), path };
    } catch (error) {
      if (error instanceof ArchfarmError) throw error;
      if (systemCode(error) === 'ENOENT') continue;
      throw fileError(error, path);
    }
  }
  return { matcher: new Matcher([]), path: '' };
}

async function hashAll(
  found: readonly Found[],
  { cache, signal }: { readonly cache: StatCache | undefined; readonly signal: AbortSignal },
): Promise<ReadonlyMap<ContextFile, Digest>> {
  const digests = new Map<ContextFile, Digest>();
  // All take from one generator, which ends for all when one of them fails.
  const files = filesOf(found, new Set());
  const work = async (): Promise<void> => {
    for (const { file, known, fingerprint } of files) {
      if (known !== undefined) continue;
      const digest = await hashFile(file, signal);
      digests.set(file, digest);
      if (fingerprint !== undefined) cache?.add(fingerprint, digest);
    }
  };
  await Promise.all(Array.from({ length: parallelFiles }, work));
  return digests;
}

/** Files by the first of their names: the others become links to it. */
function* filesOf(found: readonly Found[], seen: Set<string>): Generator<FoundFile> {
  for (const entry of found) {
    if (entry.type === 'directory') yield* filesOf(entry.children, seen);
    if (entry.type !== 'file' || (entry.identity !== undefined && seen.has(entry.identity))) continue;
    if (entry.identity !== undefined) seen.add(entry.identity);
    yield entry;
  }
}

class TreeBuilder {
  readonly directories = new Map<Digest, Buffer>();
  readonly contents = new Map<Digest, ContextFile>();
  files = 0;
  bytes = 0;
  readonly #digests: ReadonlyMap<ContextFile, Digest>;
  /** First names, in walk order, of files that have several. */
  readonly #firstNames = new Map<string, string>();

  constructor(digests: ReadonlyMap<ContextFile, Digest>) {
    this.#digests = digests;
  }

  /** Called in walk order, so that the first name of a file is met first. */
  add(path: string, children: readonly Found[]): Digest {
    const entries = children.map((child) =>
      this.#entry(path === '' ? child.name : `${path}/${child.name}`, child),
    );
    const { digest, record } = encodeDirectory({ entries, mtimes: children.map(({ mtime }) => mtime) });
    this.directories.set(digest, record);
    return digest;
  }

  #entry(path: string, found: Found): TreeEntry {
    const { name, mode } = found;
    switch (found.type) {
      case 'directory':
        return { type: 'directory', name, mode, digest: this.add(path, found.children) };
      case 'symlink':
        return { type: 'symlink', name, target: found.target };
      case 'file':
        return this.#file(path, found);
      default:
        return found satisfies never;
    }
  }

  #file(path: string, { name, mode, file, identity, known }: FoundFile): TreeEntry {
    const first = identity === undefined ? undefined : this.#firstNames.get(identity);
    if (first !== undefined) return { type: 'hardlink', name, target: first };
    if (identity !== undefined) this.#firstNames.set(identity, path);
    const digest = known ?? this.#digests.get(file);
    if (digest === undefined) throw new ArchfarmError('internal', `${path} was not hashed`);
    this.files += 1;
    this.bytes += file.size;
    if (!this.contents.has(digest)) this.contents.set(digest, file);
    return { type: 'file', name, mode, size: file.size, digest };
  }
}

function skippedWarning(paths: readonly string[]): string {
  const sorted = paths.toSorted();
  const names = sorted.slice(0, maxNamed).map((path) => JSON.stringify(path));
  const more = sorted.length > maxNamed ? ` and ${sorted.length - maxNamed} more` : '';
  return `left out sockets, pipes and devices, which no image can hold: ${names.join(', ')}${more}`;
}

async function checkDirectory(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new ArchfarmError('context-invalid', `cannot use ${path} as the context: ${messageOf(error)}`, {
      hint: 'give the path of a directory',
      cause: error,
    });
  });
  if (found.isDirectory()) return;
  throw new ArchfarmError('context-invalid', `the context ${path} is not a directory`, {
    hint: 'give the path of a directory',
  });
}

/** Makes a tree of a directory: finds what the ignore rules leave, and hashes what no earlier scan has hashed. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Matcher, parseIgnoreFile } from '../../shared/context/ignore.ts';
import { defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { fileError } from './file-error.ts';
import { Hashing } from './hashing.ts';
import { Pace } from './pace.ts';
import type { Snapshot } from './snapshot.ts';
import { StatCache } from './stat-cache.ts';
import { TreeWriter } from './tree-writer.ts';
import { ignoreFile, Walk } from './walk.ts';

export interface ScanOptions {
  /** Path of the Dockerfile: an ignore file of its own beside it replaces the context's. */
  readonly dockerfile?: string | undefined;
  /** What to leave out, where ignore files are not to be looked for. */
  readonly matcher?: Matcher | undefined;
  readonly limits?: ContextLimits | undefined;
  /** Directory of the digests that scans remember; without one everything is hashed. */
  readonly statCache?: string | undefined;
  readonly pace?: Pace | undefined;
  readonly signal: AbortSignal;
}

/** `directory` is absolute. Throws `context-invalid`, `context-changed` or `context-limit`, naming the path at fault. */
export async function scanContext(directory: string, options: ScanOptions): Promise<Snapshot> {
  const { signal, limits = defaultLimits, pace = new Pace() } = options;
  await checkDirectory(directory);
  const { matcher, path } = await ignoreRules(directory, options);
  // Other rules see other files: contexts of one directory do not push each other out.
  const cache =
    options.statCache === undefined ? undefined : await StatCache.open(options.statCache, [directory, path]);
  const tree = new TreeWriter(limits);
  const hashing = new Hashing({ pace, signal });
  const walk = new Walk({ matcher, tree, hashing, cache, pace, signal });
  try {
    await walk.run(directory);
    await hashing.finish();
  } finally {
    await hashing.stop();
  }
  await cache?.save();
  return {
    ...tree.finish(({ path, size, mtime }) => ({ path: join(directory, path), name: path, size, mtime })),
    recipes: hashing.recipes,
    warnings: skippedWarnings(walk.skipped),
  };
}

interface IgnoreRules {
  readonly matcher: Matcher;
  /** Of the file that they come from; empty when there is none. */
  readonly path: string;
}

async function ignoreRules(directory: string, { dockerfile, matcher }: ScanOptions): Promise<IgnoreRules> {
  if (matcher !== undefined) return { matcher, path: '' };
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

function skippedWarnings({ count, names }: Walk['skipped']): readonly string[] {
  if (count === 0) return [];
  const listed = names.map((name) => JSON.stringify(name)).join(', ');
  const more = count > names.length ? ` and ${count - names.length} more` : '';
  return [`left out sockets, pipes and devices, which no image can hold: ${listed}${more}`];
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

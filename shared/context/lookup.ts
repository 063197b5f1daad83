/** Finds one path in a tree, without following links. */
import { compareNames } from './encoding.ts';
import type { ContextSource, Digest, Directory, TreeEntry } from './tree.ts';

export interface TreeReader {
  readonly root: Digest;
  readonly source: Pick<ContextSource, 'directory'>;
  readonly signal: AbortSignal;
}

/** The directory at a path (`''` is the root), or undefined where there is none. */
export async function findDirectory(tree: TreeReader, path: string): Promise<Directory | undefined> {
  let directory = await tree.source.directory(tree.root, tree.signal);
  for (const name of path === '' ? [] : path.split('/')) {
    const entry = entryNamed(directory, name);
    if (entry?.type !== 'directory') return undefined;
    directory = await tree.source.directory(entry.digest, tree.signal);
  }
  return directory;
}

export async function findEntry(tree: TreeReader, path: string): Promise<TreeEntry | undefined> {
  const end = path.lastIndexOf('/');
  const parent = await findDirectory(tree, path.slice(0, Math.max(end, 0)));
  return parent === undefined ? undefined : entryNamed(parent, path.slice(end + 1));
}

/** Halves the range each time: names are in order, and a directory may have a hundred thousand. */
export function entryNamed({ entries }: Directory, name: string): TreeEntry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareNames(entries[middle]!.name, name);
    if (order === 0) return entries[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

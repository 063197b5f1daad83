/** Finds one path in a tree, without following links. */
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
    const entry = directory.entries.find((candidate) => candidate.name === name);
    if (entry?.type !== 'directory') return undefined;
    directory = await tree.source.directory(entry.digest, tree.signal);
  }
  return directory;
}

export async function findEntry(tree: TreeReader, path: string): Promise<TreeEntry | undefined> {
  const end = path.lastIndexOf('/');
  const parent = await findDirectory(tree, path.slice(0, Math.max(end, 0)));
  return parent?.entries.find((candidate) => candidate.name === path.slice(end + 1));
}

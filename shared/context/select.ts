/**
 * The part of a tree that an engine asked for, in the order in which it wants to hear of it: depth first, names in
 * byte order, a directory right before its entries. After FilterFS of github.com/tonistiigi/fsutil, what Docker's
 * own clients send.
 */
import { DirectoryCache } from './directory-cache.ts';
import { followPaths, withoutNested } from './follow-paths.ts';
import { LinkGroups } from './link-groups.ts';
import type { TreeReader } from './lookup.ts';
import { SelectionFilter, type FilterState } from './selection-filter.ts';
import { readTimes, Times } from './times.ts';
import type { ContextSource, Digest, Directory, FileEntry, TimesId, TreeEntry, TreeId } from './tree.ts';
import { Turns } from './turns.ts';

export interface Selection {
  readonly followPaths: readonly string[];
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
}

/** All of a tree. */
export const everything: Selection = { followPaths: [], includePatterns: [], excludePatterns: [] };

export interface SelectedEntry {
  /** From the root of the tree, no leading slash. */
  readonly path: string;
  /** A hard link's target was selected before it; where its first name was not, the entry is a file instead. */
  readonly entry: TreeEntry;
  /** Nanoseconds since 1970; 0 unless times were asked for. */
  readonly mtime: bigint;
  /** Of a hard link: the file that it is another name of. */
  readonly file?: FileEntry | undefined;
}

/** Times are contents: without these, the times of a tree are not read. */
export type SelectedSource = Pick<ContextSource, 'directory'> & Partial<Pick<ContextSource, 'blob'>>;

/** Throws `context-invalid` for a pattern that is not one and for a hard link to something else than an earlier file. */
export async function* select(
  { root, times }: TreeId,
  selection: Selection,
  source: SelectedSource,
  signal: AbortSignal,
): AsyncGenerator<SelectedEntry> {
  const tree: TreeReader = { root, source, signal };
  const turns = new Turns(signal);
  const filter = await makeFilter(tree, selection, turns);
  const links = new LinkGroups(tree, filter);
  const open = async (digest: Digest, id: TimesId | undefined): Promise<OpenDirectory> => {
    const directory = await source.directory(digest, signal);
    if (id === undefined || source.blob === undefined) return { directory };
    const bytes = await readTimes(id, { blob: source.blob.bind(source) }, signal);
    return { directory, times: new Times(bytes, directory) };
  };
  const levels: Level[] = [
    { path: '', ...(await open(root, times)), next: 0, nextDirectory: 0, state: filter.root },
  ];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const index = level.next++;
    const entry = level.directory.entries[index];
    if (entry === undefined) {
      levels.pop();
      continue;
    }
    // Also where nothing is selected: many patterns are asked of each entry then.
    if (turns.isOver) await turns.next();
    const path = level.path === '' ? entry.name : `${level.path}/${entry.name}`;
    const found: SelectedEntry = { path, entry, mtime: level.times?.mtime(index) ?? 0n };
    if (entry.type !== 'directory') {
      if (!filter.selects(level.state, entry.name)) continue;
      if (level.hasPending === true) yield* takePending(levels);
      yield entry.type === 'hardlink' ? { ...found, ...(await links.regroup(path, entry)) } : found;
      continue;
    }
    signal.throwIfAborted();
    const below = level.times?.below(level.nextDirectory++);
    const { selected, descend, state } = filter.enter(level.state, entry.name, path);
    if (selected) {
      if (level.hasPending === true) yield* takePending(levels);
      yield found;
    }
    if (!descend) continue;
    levels.push({
      path,
      ...(await open(entry.digest, below)),
      next: 0,
      nextDirectory: 0,
      state,
      pending: selected ? undefined : found,
      hasPending: !selected || level.hasPending === true,
    });
  }
}

interface OpenDirectory {
  readonly directory: Directory;
  readonly times?: Times;
}

/** A directory of the walk. */
interface Level extends OpenDirectory {
  readonly path: string;
  /** Of its entries, and of the directories among them. */
  next: number;
  nextDirectory: number;
  readonly state: FilterState;
  /** The directory itself, when it is to be sent only if something in it is. */
  pending?: SelectedEntry | undefined;
  /** It, or one that it is in, is pending. */
  hasPending?: boolean;
}

function* takePending(levels: readonly Level[]): Generator<SelectedEntry> {
  for (const level of levels) {
    if (level.pending !== undefined) yield level.pending;
    level.pending = undefined;
    level.hasPending = false;
  }
}

async function makeFilter(tree: TreeReader, selection: Selection, turns: Turns): Promise<SelectionFilter> {
  const { includePatterns, excludePatterns } = selection;
  const followed =
    selection.followPaths.length === 0
      ? []
      : await followPaths({ ...tree, source: new DirectoryCache(tree.source) }, selection.followPaths, turns);
  const includes =
    followed === undefined ? includePatterns : withoutNested([...includePatterns, ...followed]);
  return new SelectionFilter(includes ?? [], excludePatterns);
}

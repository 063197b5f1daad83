/**
 * The part of a tree that an engine asked for, in the order in which it wants to hear of it: depth first, names in
 * byte order, a directory right before its entries. After FilterFS of github.com/tonistiigi/fsutil, what Docker's
 * own clients send.
 */
import { ArchfarmError } from '../errors.ts';
import { compareNames } from './encoding.ts';
import { followPaths, withoutNested } from './follow-paths.ts';
import { Matcher, type WalkState } from './ignore.ts';
import { findEntry, type TreeReader } from './lookup.ts';
import type { ContextSource, Digest, Directory, FileEntry, TreeEntry } from './tree.ts';

export interface Selection {
  readonly followPaths: readonly string[];
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
}

export interface SelectedEntry {
  /** From the root of the tree, no leading slash. */
  readonly path: string;
  /** A hard link's target was selected before it; where its first name was not, the entry is a file instead. */
  readonly entry: TreeEntry;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of a hard link: the file that it is another name of. */
  readonly file?: FileEntry;
}

/** Throws `context-invalid` for a pattern that is not one and for a hard link to something else than an earlier file. */
export async function* select(
  root: Digest,
  selection: Selection,
  source: Pick<ContextSource, 'directory'>,
  signal: AbortSignal,
): AsyncGenerator<SelectedEntry> {
  const tree: TreeReader = { root, source, signal };
  const filter = await makeFilter(tree, selection);
  const links = new LinkGroups(tree);
  const levels: Level[] = [
    {
      path: '',
      directory: await source.directory(root, signal),
      next: 0,
      include: filter.include?.root,
      exclude: filter.exclude?.root,
    },
  ];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    signal.throwIfAborted();
    const index = level.next++;
    const entry = level.directory.entries[index];
    if (entry === undefined) {
      levels.pop();
      continue;
    }
    const path = level.path === '' ? entry.name : `${level.path}/${entry.name}`;
    const found: SelectedEntry = { path, entry, mtime: level.directory.mtimes[index] ?? 0n };
    const verdict = judge(filter, { level, entry, path });
    if (verdict.selected) {
      for (const { pending } of levels) if (pending !== undefined) yield pending;
      for (const ancestor of levels) ancestor.pending = undefined;
      yield await links.regroup(found);
    }
    if (entry.type === 'directory' && verdict.descend) {
      levels.push({
        path,
        directory: await source.directory(entry.digest, signal),
        next: 0,
        include: verdict.include,
        exclude: verdict.exclude,
        pending: verdict.selected ? undefined : found,
      });
    }
  }
}

interface Filter {
  readonly include?: Matcher | undefined;
  readonly exclude?: Matcher | undefined;
}

/** A directory of the walk. */
interface Level {
  readonly path: string;
  readonly directory: Directory;
  next: number;
  readonly include: WalkState | undefined;
  readonly exclude: WalkState | undefined;
  /** The directory itself, when it is to be sent only if something in it is. */
  pending?: SelectedEntry | undefined;
}

interface Verdict {
  readonly selected: boolean;
  readonly descend: boolean;
  readonly include?: WalkState | undefined;
  readonly exclude?: WalkState | undefined;
}

async function makeFilter(tree: TreeReader, selection: Selection): Promise<Filter> {
  const followed = selection.followPaths.length === 0 ? [] : await followPaths(tree, selection.followPaths);
  const includes =
    followed === undefined
      ? selection.includePatterns
      : withoutNested([...selection.includePatterns, ...followed]);
  return {
    ...(includes === undefined || includes.length === 0 ? {} : { include: new Matcher(includes) }),
    ...(selection.excludePatterns.length === 0 ? {} : { exclude: new Matcher(selection.excludePatterns) }),
  };
}

function judge(filter: Filter, at: { level: Level; entry: TreeEntry; path: string }): Verdict {
  const { level, entry, path } = at;
  const { include, exclude } = filter;
  if (entry.type !== 'directory') {
    const included = include === undefined || include.matches(level.include ?? include.root, entry.name);
    const excluded = exclude !== undefined && exclude.matches(level.exclude ?? exclude.root, entry.name);
    return { selected: included && !excluded, descend: false };
  }
  const included = include?.enter(level.include ?? include.root, entry.name);
  const excluded = exclude?.enter(level.exclude ?? exclude.root, entry.name);
  const isOutside = included?.matched === false;
  const isExcluded = excluded?.matched === true;
  return {
    selected: !isOutside && !isExcluded,
    descend:
      (!isOutside || include?.reaches(path, { negated: false }) === true) &&
      (!isExcluded || exclude?.reaches(path, { negated: true }) === true),
    include: included?.state,
    exclude: excluded?.state,
  };
}

/** Files with several names: the first name that is selected stands for the file, the others link to it. */
class LinkGroups {
  readonly #tree: TreeReader;
  readonly #files = new Map<string, FileEntry>();
  /** First selected name of a file whose own first name was not selected. */
  readonly #substitutes = new Map<string, string>();

  constructor(tree: TreeReader) {
    this.#tree = tree;
  }

  async regroup(found: SelectedEntry): Promise<SelectedEntry> {
    const { entry, path } = found;
    if (entry.type === 'file') this.#files.set(path, entry);
    if (entry.type !== 'hardlink') return found;
    const target = this.#substitutes.get(entry.target) ?? entry.target;
    const file = this.#files.get(target);
    if (file !== undefined) return { ...found, entry: { ...entry, target }, file };
    const original = await findEntry(this.#tree, entry.target);
    if (original?.type !== 'file' || !precedes(entry.target, path)) {
      throw new ArchfarmError(
        'context-invalid',
        `not a valid tree: ${JSON.stringify(path)} is a hard link to ${JSON.stringify(entry.target)}, which is no earlier file`,
      );
    }
    const replacement: FileEntry = { ...original, name: entry.name };
    this.#substitutes.set(entry.target, path);
    this.#files.set(path, replacement);
    return { ...found, entry: replacement };
  }
}

/** In walk order: by the first names that differ. */
function precedes(left: string, right: string): boolean {
  const lefts = left.split('/');
  const rights = right.split('/');
  const differ = lefts.findIndex((name, index) => name !== rights[index]);
  return differ !== -1 && compareNames(lefts[differ]!, rights[differ] ?? '') < 0;
}

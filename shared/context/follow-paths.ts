/**
 * Turns the paths that a build names into patterns: symbolic links on the way are resolved inside the tree, and
 * both the links and what they lead to are wanted. After FollowLinks of github.com/tonistiigi/fsutil.
 */
import { posix } from 'node:path';
import { compareNames } from './encoding.ts';
import { findDirectory, findEntry, type TreeReader } from './lookup.ts';
import { Pattern } from './pattern.ts';
import { PatternSyntaxError } from './pattern-class.ts';
import type { Turns } from './turns.ts';

/** Sorted patterns, or undefined when one of the paths is the root: then everything is wanted. */
export async function followPaths(
  tree: TreeReader,
  paths: readonly string[],
  turns: Turns,
): Promise<readonly string[] | undefined> {
  const resolved = new Set<string>();
  const pending = paths.map(fromRoot).toReversed();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    pending.push(...(await followOne(tree, { path, resolved, turns })).toReversed());
  }
  return withoutNested([...resolved].toSorted(compareNames));
}

/** Drops paths below another one of the sorted list; undefined when `.` is among them. */
export function withoutNested(sorted: readonly string[]): readonly string[] | undefined {
  if (sorted.includes('.')) return undefined;
  const kept: string[] = [];
  for (const path of sorted) {
    const last = kept.at(-1);
    if (last === undefined || !path.startsWith(`${last}/`)) kept.push(path);
  }
  return kept;
}

/** Walks along one path to its end or its first link, and gives the paths that have to be followed instead. */
async function followOne(
  tree: TreeReader,
  { path, resolved, turns }: { path: string; resolved: Set<string>; turns: Turns },
): Promise<string[]> {
  const names = path.split('/');
  for (let length = 1; length <= names.length; length++) {
    const current = names.slice(0, length).join('/');
    const rest = names.slice(length).join('/');
    const targets = await linkTargets(tree, current, turns);
    if (targets.length === 0 && rest !== '') continue;
    // Also what ends loops of links.
    if (resolved.has(current)) return [];
    resolved.add(current);
    return targets.map((target) => fromRoot(posix.join(target, rest)));
  }
  return [];
}

/** Where the link at `path` leads, or the links that its last name matches as a pattern. */
async function linkTargets(tree: TreeReader, path: string, turns: Turns): Promise<string[]> {
  if (turns.isOver) await turns.next();
  const parent = posix.dirname(path) === '.' ? '' : posix.dirname(path);
  const name = posix.basename(path);
  if (!hasWildcard(name)) {
    const entry = await findEntry(tree, path);
    return entry?.type === 'symlink' ? [posix.resolve('/', parent, entry.target)] : [];
  }
  const matches = nameMatcher(name);
  const directory = await findDirectory(tree, parent);
  const targets: string[] = [];
  for (const entry of directory?.entries ?? []) {
    if (entry.type !== 'symlink') continue;
    if (turns.isOver) await turns.next();
    if (matches(entry.name)) targets.push(posix.resolve('/', parent, entry.target));
  }
  return targets;
}

function fromRoot(path: string): string {
  return posix.resolve('/', path).slice(1) || '.';
}

function hasWildcard(name: string): boolean {
  return /[*?[]/.test(name.replaceAll(/\\./gs, ''));
}

function nameMatcher(name: string): (candidate: string) => boolean {
  try {
    // Within one name, `**` is no more than `*`.
    const pattern = new Pattern(name.replaceAll(/\*+/g, '*'));
    return (candidate) => pattern.accepts(pattern.advance(pattern.start, candidate));
  } catch (thrown) {
    if (thrown instanceof PatternSyntaxError) return () => false;
    throw thrown;
  }
}

/** The entries of a tar archive as a tree of names: what may not be in a context is refused by name. */
import { compareNames } from '../../shared/context/encoding.ts';
import type { Matcher, WalkState } from '../../shared/context/ignore.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { joined } from './directory-table.ts';
import type { TreeWriter } from './tree-writer.ts';
import { ignoreFile } from './walk.ts';

interface Attributes {
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

export interface TarFile extends Attributes {
  readonly type: 'file';
  /** Number of its content in the spool. Names that share it are links to the first of them. */
  readonly content: number;
  readonly size: number;
}

type TarLeaf = TarFile | (Attributes & { readonly type: 'symlink'; readonly target: string });

export type TarNode = TarLeaf | TarDirectory;

interface TarDirectory extends Attributes {
  readonly type: 'directory';
  readonly children: Map<string, TarNode>;
}

export class TarTree {
  readonly #root = new Map<string, TarNode>();

  /** Undefined for the root itself. Throws `context-invalid` for a path that leads out of the context. */
  static parts(name: string): string[] | undefined {
    const parts = name.replace(/\/+$/, '').split('/');
    if (name.startsWith('/') || parts.includes('..')) {
      throw refused(name, 'its path leads out of the context');
    }
    if (name.includes('\0') || name.includes('\uFFFD')) throw refused(name, 'its name is not UTF-8 text');
    const proper = parts.filter((part) => part !== '' && part !== '.');
    return proper.length === 0 ? undefined : proper;
  }

  /** Of two entries of a name the later one counts; a directory keeps what is in it. */
  add(name: string, node: TarNode): void {
    const parts = TarTree.parts(name);
    const last = parts?.pop();
    if (parts === undefined || last === undefined) {
      if (node.type === 'directory') return;
      throw refused(name, 'it has no name');
    }
    let children = this.#root;
    for (const part of parts) {
      const next = children.get(part) ?? implied();
      if (next.type !== 'directory') throw refused(name, `${part} is no directory`);
      children.set(part, next);
      children = next.children;
    }
    const present = children.get(last);
    if (present?.type === 'directory') {
      if (node.type !== 'directory') throw refused(name, 'the archive has a directory of that name');
      children.set(last, { ...node, children: present.children });
    } else if (present !== undefined && node.type === 'directory') {
      throw refused(name, 'the archive has a file or link of that name');
    } else children.set(last, node);
  }

  file(name: string): TarFile | undefined {
    const node = this.leaf(name);
    return node?.type === 'file' ? node : undefined;
  }

  /** What another name may be a link to. */
  leaf(name: string): TarLeaf | undefined {
    let node: TarNode | undefined;
    let children: ReadonlyMap<string, TarNode> = this.#root;
    for (const part of TarTree.parts(name) ?? []) {
      node = children.get(part);
      children = node?.type === 'directory' ? node.children : new Map();
    }
    return node?.type === 'directory' ? undefined : node;
  }

  /** Writes what the ignore rules leave; gives the content of each file by its number in the tree. */
  write(tree: TreeWriter, matcher: Matcher): readonly number[] {
    const writing = { tree, matcher, contents: [], numbers: new Map() };
    write(this.#root, { path: '', state: matcher.root }, writing);
    return writing.contents;
  }
}

interface Writing {
  readonly tree: TreeWriter;
  readonly matcher: Matcher;
  /** By numbers of files in the tree. */
  readonly contents: number[];
  /** In the tree, by contents. */
  readonly numbers: Map<number, number>;
}

function write(
  children: ReadonlyMap<string, TarNode>,
  { path, state }: { readonly path: string; readonly state: WalkState },
  writing: Writing,
): void {
  const { tree, matcher } = writing;
  for (const name of [...children.keys()].toSorted(compareNames)) {
    const node = children.get(name);
    if (node === undefined) continue;
    const at = joined(path, name);
    if (node.type === 'directory') {
      const { matched, state: within } = matcher.enter(state, name);
      if (matched && !matcher.reaches(at, { negated: true })) continue;
      tree.enter(name);
      write(node.children, { path: at, state: within }, writing);
      tree.leave({ name, mode: node.mode, mtime: node.mtime }, { keepEmpty: !matched });
    } else if (at === ignoreFile || !matcher.matches(state, name)) {
      writeLeaf(name, node, writing);
    }
  }
}

function writeLeaf(name: string, node: TarLeaf, { tree, contents, numbers }: Writing): void {
  const attributes = { name, mode: node.mode, mtime: node.mtime };
  if (node.type === 'symlink') return tree.symlink(attributes, node.target);
  const first = numbers.get(node.content);
  if (first !== undefined) return tree.hardlink(attributes, first);
  const number = tree.file({ ...attributes, size: node.size });
  numbers.set(node.content, number);
  contents[number] = node.content;
}

function implied(): TarDirectory {
  return { type: 'directory', mode: 0o755, mtime: 0n, children: new Map() };
}

export function refused(name: string, why: string): ArchfarmError {
  return new ArchfarmError(
    'context-invalid',
    `the archive's entry ${JSON.stringify(name)} is refused: ${why}`,
    {
      hint: 'make the archive without it',
    },
  );
}

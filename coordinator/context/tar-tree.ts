/** The entries of a tar archive as a tree of names: what may not be in a context is refused by name. */
import { compareNames } from '../../shared/context/encoding.ts';
import type { Matcher, WalkState } from '../../shared/context/ignore.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { ContextFile } from './context-file.ts';
import { ignoreFile, type Found } from './walk.ts';

interface Attributes {
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

export interface TarFile extends Attributes {
  readonly type: 'file';
  readonly file: ContextFile;
  readonly digest: Digest;
}

export type TarNode =
  TarFile | (Attributes & { readonly type: 'symlink'; readonly target: string }) | TarDirectory;

interface TarDirectory extends Attributes {
  readonly type: 'directory';
  readonly children: Map<string, TarNode>;
  /** Only its entries were in the archive so far. */
  readonly implied: boolean;
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
    if (present === undefined) children.set(last, node);
    else if (present.type === 'directory' && present.implied && node.type === 'directory') {
      children.set(last, { ...node, children: present.children });
    } else throw refused(name, 'the archive has two of that name');
  }

  file(name: string): TarFile | undefined {
    let node: TarNode | undefined;
    let children: ReadonlyMap<string, TarNode> = this.#root;
    for (const part of TarTree.parts(name) ?? []) {
      node = children.get(part);
      children = node?.type === 'directory' ? node.children : new Map();
    }
    return node?.type === 'file' ? node : undefined;
  }

  /** What the ignore rules leave, in the order of a tree. */
  select(matcher: Matcher): Found[] {
    return select(this.#root, { matcher, path: '', state: matcher.root });
  }
}

function select(
  children: ReadonlyMap<string, TarNode>,
  { matcher, path, state }: { matcher: Matcher; path: string; state: WalkState },
): Found[] {
  const found: Found[] = [];
  for (const [name, node] of [...children].toSorted(([left], [right]) => compareNames(left, right))) {
    const at = path === '' ? name : `${path}/${name}`;
    if (node.type === 'directory') {
      const { matched, state: within } = matcher.enter(state, name);
      if (matched && !matcher.reaches(at, { negated: true })) continue;
      const entries = select(node.children, { matcher, path: at, state: within });
      if (matched && entries.length === 0) continue;
      found.push({ type: 'directory', name, mode: node.mode, mtime: node.mtime, children: entries });
    } else if (at === ignoreFile || !matcher.matches(state, name)) {
      found.push(leaf(name, node));
    }
  }
  return found;
}

function leaf(name: string, node: Exclude<TarNode, TarDirectory>): Found {
  const { mode, mtime } = node;
  if (node.type === 'symlink') return { type: 'symlink', name, mode, mtime, target: node.target };
  const { file, digest } = node;
  // Names that share a spooled file are links to the first of them.
  return {
    type: 'file',
    name,
    mode,
    mtime,
    file,
    identity: file.path,
    known: digest,
    fingerprint: undefined,
  };
}

function implied(): TarDirectory {
  return { type: 'directory', mode: 0o755, mtime: 0n, children: new Map(), implied: true };
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

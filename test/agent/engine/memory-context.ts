/** Contexts in memory: `memoryContext({ 'bin/sh': link('busybox'), 'a.txt': file('hello') })`. */
import { readFileSync } from 'node:fs';
import { compareNames, digestOf, encodeDirectory } from '../../../shared/context/encoding.ts';
import { encodeTimes } from '../../../shared/context/times.ts';
import type { ContextSource, Digest, Directory, TreeEntry, TreeId } from '../../../shared/context/tree.ts';

type Unnamed<T> = T extends { readonly name: string } ? Omit<T, 'name'> : never;

interface Node {
  readonly entry: Unnamed<Exclude<TreeEntry, { type: 'directory' }>>;
  readonly content?: Buffer;
  readonly mtime: bigint;
}

export type Contents = Readonly<Record<string, Node>>;

export interface MemoryContext extends ContextSource {
  /** The tree of these contents, which is a part of the source from now on. */
  add(contents: Contents): TreeId;
  /** Bytes read from contents of files. */
  readonly read: number;
  /** Whether these are times. */
  isTimes(digest: Digest): boolean;
}

const someTime = 1_700_000_000_123_456_789n;

export function file(content: string | Buffer, options: { mode?: number; mtime?: bigint } = {}): Node {
  const bytes = Buffer.from(content);
  const { mode = 0o644, mtime = someTime } = options;
  return {
    entry: { type: 'file', mode, size: bytes.length, digest: digestOf(bytes) },
    content: bytes,
    mtime,
  };
}

export function link(target: string): Node {
  return { entry: { type: 'symlink', target }, mtime: someTime };
}

export function hardlink(target: string): Node {
  return { entry: { type: 'hardlink', target }, mtime: someTime };
}

/** Enough of a system for RUN steps. */
export const busybox: Contents = {
  'bin/busybox': file(readFileSync('/bin/busybox'), { mode: 0o755 }),
  ...Object.fromEntries(
    ['sh', 'cat', 'stat', 'find', 'sort', 'sleep', 'nc', 'printf', 'ls'].map((name) => [
      `bin/${name}`,
      link('busybox'),
    ]),
  ),
};

export function memoryContext(): MemoryContext {
  const directories = new Map<Digest, Directory>();
  const blobs = new Map<Digest, Buffer>();
  const allTimes = new Map<Digest, Buffer>();
  let read = 0;
  return {
    add(contents) {
      for (const { content } of Object.values(contents)) {
        if (content !== undefined) blobs.set(digestOf(content), content);
      }
      return addDirectory(new Map(Object.entries(contents)), { directories, allTimes });
    },
    get read() {
      return read;
    },
    isTimes: (digest) => allTimes.has(digest),
    async directory(digest) {
      const found = directories.get(digest);
      if (found === undefined) throw new Error(`no directory ${digest}`);
      return found;
    },
    async blob(digest) {
      const times = allTimes.get(digest);
      if (times !== undefined) return chunksOf(times, () => {});
      const found = blobs.get(digest);
      if (found === undefined) throw new Error(`no blob ${digest}`);
      return chunksOf(found, (bytes) => (read += bytes));
    },
  };
}

/** Chunks larger and smaller than what fits a packet. */
async function* chunksOf(content: Buffer, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  for (let start = 0; start < content.length; start += 100_000) {
    const chunk = content.subarray(start, start + 100_000);
    onRead(chunk.length);
    yield chunk;
  }
}

interface Added {
  readonly directories: Map<Digest, Directory>;
  readonly allTimes: Map<Digest, Buffer>;
}

function addDirectory(nodes: ReadonlyMap<string, Node>, into: Added): TreeId {
  const below = new Map<string, Map<string, Node>>();
  const found: { entry: TreeEntry; mtime: bigint; times?: TreeId['times'] }[] = [];
  for (const [path, node] of nodes) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      found.push({ entry: { ...node.entry, name: path }, mtime: node.mtime });
    } else {
      const name = path.slice(0, slash);
      below.set(name, (below.get(name) ?? new Map<string, Node>()).set(path.slice(slash + 1), node));
    }
  }
  for (const [name, children] of below) {
    const { root: digest, times } = addDirectory(children, into);
    found.push({ entry: { type: 'directory', name, mode: 0o755, digest }, mtime: someTime, times });
  }
  found.sort((left, right) => compareNames(left.entry.name, right.entry.name));
  const directory = { entries: found.map(({ entry }) => entry) };
  const root = encodeDirectory(directory).digest;
  into.directories.set(root, directory);
  const times = encodeTimes(
    found.map(({ mtime }) => mtime),
    found.flatMap((each) => each.times ?? []),
  );
  into.allTimes.set(digestOf(times), times);
  return { root, times: { digest: digestOf(times), size: times.length } };
}

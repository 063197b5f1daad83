/** A tree in memory, written as nested objects, and a source that reads it. */
import { compareNames, decodeDirectory, digestOf, encodeDirectory } from '../../shared/context/encoding.ts';
import { Chunker } from '../../shared/context/chunker.ts';
import { encodeRecipe, type Recipe } from '../../shared/context/chunks.ts';
import type { Content, ContentSource } from '../../shared/context/sender.ts';
import { partsOf, piecesOf } from '../../shared/context/pieces.ts';
import { contentOf, type WantedItem } from '../../shared/context/transfer-messages.ts';
import { encodeTimes } from '../../shared/context/times.ts';
import type { ContextSource, Digest, TimesId, TreeEntry, TreeId } from '../../shared/context/tree.ts';

/** What a name stands for; a string is a file's content. */
export type Branch =
  string | Buffer | { readonly link: string } | { readonly hardlink: string } | Map<string, Branch>;

/** All of whose entries have times. */
type TimedTree = TreeId & { readonly times: TimesId };

/** Of each directory the first entry was last changed at 0, the next a nanosecond after it, and so on. */
export interface MemoryTree extends ContextSource, ContentSource, TimedTree {
  readonly records: ReadonlyMap<Digest, Buffer>;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
  readonly allTimes: ReadonlyMap<Digest, Buffer>;
}

/** Nested arrays of `[name, branch]` read best: `dir(['a', 'text'], ['b', dir()])`. */
export function dir(...entries: readonly (readonly [string, Branch])[]): Map<string, Branch> {
  return new Map(entries);
}

export function memoryTree(branches: Map<string, Branch>): MemoryTree {
  const records = new Map<Digest, Buffer>();
  const blobs = new Map<Digest, Buffer>();
  const allTimes = new Map<Digest, Buffer>();

  function add(directory: Map<string, Branch>): TimedTree {
    const sorted = [...directory].toSorted(([left], [right]) => compareNames(left, right));
    const below: TimesId[] = [];
    const entries = sorted.map(([name, branch]) => entryOf(name, branch, below));
    const { digest: root, record } = encodeDirectory({ entries });
    records.set(root, record);
    const bytes = encodeTimes(
      entries.map((_, index) => BigInt(index)),
      below,
    );
    const times = { digest: digestOf(bytes), size: bytes.length };
    allTimes.set(times.digest, bytes);
    return { root, times };
  }

  function entryOf(name: string, branch: Branch, below: TimesId[]): TreeEntry {
    if (branch instanceof Map) {
      const { root: digest, times } = add(branch);
      below.push(times);
      return { type: 'directory', name, mode: 0o755, digest };
    }
    if (typeof branch === 'string' || Buffer.isBuffer(branch)) {
      const content = Buffer.from(branch);
      const digest = digestOf(content);
      blobs.set(digest, content);
      return { type: 'file', name, mode: 0o644, size: content.length, digest };
    }
    return 'link' in branch
      ? { type: 'symlink', name, target: branch.link }
      : { type: 'hardlink', name, target: branch.hardlink };
  }

  const tree = add(branches);
  const contents = new Map([...allTimes, ...blobs]);
  return {
    ...tree,
    records,
    blobs,
    allTimes,
    async directory(digest) {
      return decodeDirectory(digest, records.get(digest) ?? Buffer.alloc(0));
    },
    blob: async (digest, size) => partOf({ kind: 'blob', digest, size, offset: 0 }, contents).chunks,
    open: async (item) => partOf(item, item.kind === 'directory' ? records : contents),
  };
}

/** What a source answers that holds these contents. */
export function partOf(item: WantedItem, contents: ReadonlyMap<Digest, Buffer>): Content {
  const { kind, digest, size, offset } = item;
  const content = contents.get(contentOf(item));
  if (content === undefined) throw new Error(`no ${kind} ${digest}`);
  const what = kind.startsWith('recipe')
    ? encodeRecipe(recipeOf(content))
    : kind.startsWith('chunk')
      ? content.subarray(offset, offset + size)
      : content.subarray(offset);
  const bytes =
    'parts' in item ? partsOf(what, item.parts) : kind.endsWith('-pieces') ? piecesOf(what) : what;
  return { size: bytes.length, chunks: inChunks(bytes) };
}

export function recipeOf(content: Buffer): Recipe {
  const chunker = new Chunker();
  chunker.push(content);
  return chunker.finish();
}

/** Pieces as a file gives them. */
export async function* inChunks(content: Buffer, bytes = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes);
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

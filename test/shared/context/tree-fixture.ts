/** A tree in memory, written as nested objects, and a source that reads it. */
import { digestOf, encodeDirectory, decodeDirectory, compareNames } from '../../../shared/context/encoding.ts';
import type { ContextSource, Digest, TreeEntry } from '../../../shared/context/tree.ts';

/** A string is a file's content; links are `{ link }` and `{ hard }`; the rest are directories. */
export type Fixture = { readonly [name: string]: string | { readonly link: string } | { readonly hard: string } | Fixture };

export interface MemoryTree {
  readonly root: Digest;
  readonly records: Map<Digest, Buffer>;
  readonly blobs: Map<Digest, Buffer>;
  readonly source: ContextSource;
}

export function memoryTree(fixture: Fixture): MemoryTree {
  const records = new Map<Digest, Buffer>();
  const blobs = new Map<Digest, Buffer>();
  const root = add(fixture, { records, blobs });
  const source: ContextSource = {
    directory: async (digest) => decodeDirectory(digest, records.get(digest) ?? Buffer.alloc(0)),
    blob: async (digest) => [blobs.get(digest) ?? Buffer.alloc(0)].values() satisfies Iterable<Buffer> as never,
  };
  return { root, records, blobs, source };
}

function add(fixture: Fixture, into: Pick<MemoryTree, 'records' | 'blobs'>): Digest {
  const entries = Object.entries(fixture)
    .toSorted(([left], [right]) => compareNames(left, right))
    .map(([name, value]): TreeEntry => {
      if (typeof value === 'string') {
        const content = Buffer.from(value);
        into.blobs.set(digestOf(content), content);
        return { type: 'file', name, mode: 0o644, size: content.length, digest: digestOf(content) };
      }
      if (typeof value['link'] === 'string') return { type: 'symlink', name, target: value['link'] };
      if (typeof value['hard'] === 'string') return { type: 'hardlink', name, target: value['hard'] };
      return { type: 'directory', name, mode: 0o755, digest: add(value as Fixture, into) };
    });
  const { digest, record } = encodeDirectory({ entries, mtimes: entries.map((_, index) => BigInt(index)) });
  into.records.set(digest, record);
  return digest;
}

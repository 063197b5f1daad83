/** A tree with one file at its root that is not what the source says. */
import { digestOf, encodeDirectory } from '../../shared/context/encoding.ts';
import type { ContextSource, Digest, Directory, FileEntry } from '../../shared/context/tree.ts';

export interface Overlay {
  readonly root: Digest;
  /** Gives that tree, and all that the source below it gives. */
  readonly source: ContextSource;
}

export interface OverlaidFile {
  /** Of the directory; undefined for one that holds nothing else. */
  readonly root?: Digest | undefined;
  readonly name: string;
  readonly content: Buffer;
  readonly signal: AbortSignal;
}

export async function overlayFile(
  source: ContextSource,
  { root, name, content, signal }: OverlaidFile,
): Promise<Overlay> {
  const below = root === undefined ? { entries: [] } : await source.directory(root, signal);
  const digest = digestOf(content);
  const directory = withFile(below, { type: 'file', name, mode: 0o644, size: content.length, digest });
  const overlaid = encodeDirectory(directory).digest;
  return {
    root: overlaid,
    source: {
      async directory(asked, askedSignal) {
        return asked === overlaid ? directory : await source.directory(asked, askedSignal);
      },
      async blob(asked, size, askedSignal) {
        return asked === digest ? once(content) : await source.blob(asked, size, askedSignal);
      },
    },
  };
}

/** In the place of the file of that name; only an empty directory may lack it, which keeps the order of names. */
function withFile({ entries }: Directory, file: FileEntry): Directory {
  if (entries.length === 0) return { entries: [file] };
  return { entries: entries.map((entry) => (entry.name === file.name ? file : entry)) };
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/** A tree that was made of local files, and what is needed to send its parts later. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Content, ContentSource } from '../../shared/context/sender.ts';
import type { WantedItem } from '../../shared/context/transfer-messages.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { readFileUnchanged, type ContextFile } from './context-file.ts';

export interface Snapshot {
  readonly root: Digest;
  /** Records of all directories. */
  readonly directories: ReadonlyMap<Digest, Buffer>;
  /** One file for each content, or the content itself. */
  readonly contents: ReadonlyMap<Digest, ContextFile | Buffer>;
  readonly files: number;
  /** Of all files. */
  readonly bytes: number;
  readonly warnings: readonly string[];
}

/** Gives the parts of several trees by digest. */
export class SnapshotSource implements ContentSource {
  readonly #snapshots: readonly Snapshot[];

  constructor(snapshots: readonly Snapshot[]) {
    this.#snapshots = snapshots;
  }

  /** Throws `blobs-lost` for what no tree holds; the content fails with `context-changed` when its file did. */
  async open({ kind, digest, offset }: WantedItem, signal: AbortSignal): Promise<Content> {
    for (const { directories, contents } of this.#snapshots) {
      const found = kind === 'directory' ? directories.get(digest) : contents.get(digest);
      if (found === undefined) continue;
      if (Buffer.isBuffer(found)) return { size: found.length - offset, chunks: rest(found, offset) };
      return { size: found.size - offset, chunks: readFileUnchanged(found, { digest, offset, signal }) };
    }
    throw new ArchfarmError('blobs-lost', `this context has no ${kind} ${digest}`, {
      hint: 'start the build again',
    });
  }
}

async function* rest(content: Buffer, offset: number): AsyncGenerator<Buffer> {
  yield content.subarray(offset);
}

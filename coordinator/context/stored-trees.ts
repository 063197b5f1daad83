/** Trees as they are in a store, and from nowhere else. */
import { decodeDirectory } from '../../shared/context/encoding.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { ContextSource } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';

/** Throws `blobs-lost` for what is not there. */
export function storedTrees(store: Pick<BlobStore, 'record' | 'blob'>): ContextSource {
  return {
    async directory(digest) {
      const record = await store.record(digest);
      if (record !== undefined) return decodeDirectory(digest, record);
      throw lost(`directory ${digest}`);
    },
    async blob(digest, size) {
      const content = await store.blob(digest, size);
      if (content !== undefined) return content;
      throw lost(digest);
    },
  };
}

function lost(what: string): ArchfarmError {
  return new ArchfarmError('blobs-lost', `${what} of the context is lost`, { hint: 'start the build again' });
}

/** Directories as they are in a store, and from nowhere else. */
import { decodeDirectory } from '../../shared/context/encoding.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { ContextSource } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';

/** Throws `blobs-lost` for one that is not there. */
export function storedDirectories(store: Pick<BlobStore, 'record'>): Pick<ContextSource, 'directory'> {
  return {
    async directory(digest) {
      const record = await store.record(digest);
      if (record !== undefined) return decodeDirectory(digest, record);
      throw new ArchfarmError('blobs-lost', `directory ${digest} of the context is lost`, {
        hint: 'start the build again',
      });
    },
  };
}

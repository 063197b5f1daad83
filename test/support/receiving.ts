/** A receiver with a store of its own, for one test. */
import { BlobReceiver } from '../../shared/context/receiver.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface Receiving extends AsyncDisposable {
  readonly receiver: BlobReceiver;
  readonly store: BlobStore;
  readonly signal: AbortSignal;
}

export async function receiving(): Promise<Receiving> {
  const directory = await temporaryDirectory();
  const store = await BlobStore.open(directory.path);
  return {
    receiver: new BlobReceiver({ store }),
    store,
    signal: AbortSignal.timeout(60_000),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

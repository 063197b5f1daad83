/** A receiver with a store of its own, for one test. */
import type { WebSocket } from 'ws';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import { BlobStore, type StoreOptions } from '../../shared/context/store.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface Receiving extends AsyncDisposable {
  readonly receiver: BlobReceiver;
  readonly store: BlobStore;
  /** Where the store lies. */
  readonly path: string;
  readonly signal: AbortSignal;
}

export async function receiving(options: StoreOptions = {}): Promise<Receiving> {
  const directory = await temporaryDirectory();
  const store = await BlobStore.open(directory.path, options);
  return {
    receiver: new BlobReceiver({ store }),
    store,
    path: directory.path,
    signal: AbortSignal.timeout(60_000),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Attaches for the length of a test; how it ends is the test's business only where it asks. */
export function attached(
  { receiver, signal }: Pick<Receiving, 'receiver' | 'signal'>,
  socket: WebSocket,
): AsyncDisposable & { readonly ended: Promise<unknown> } {
  const ended = receiver.attach(socket, signal, { givesPieces: true }).catch((error: unknown) => error);
  return {
    ended,
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await ended;
    },
  };
}

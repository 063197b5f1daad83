/** What one client can give: a receiver that outlives its connections for a while, as the client dials again. */
import type { WebSocket } from 'ws';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import { ArchfarmError } from '../../shared/errors.ts';

export interface ClientLinkOptions {
  readonly store: BlobStore;
  /** Milliseconds for which a client that lost its connection may come back. */
  readonly returnWithin: number;
  /** It did not come back: what is missing fails. */
  readonly onEnd: () => void;
}

export class ClientLink {
  readonly receiver: BlobReceiver;
  readonly #options: ClientLinkOptions;
  #connections = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ClientLinkOptions) {
    this.#options = options;
    this.receiver = new BlobReceiver({ store: options.store });
    this.#endSoon();
  }

  /** Until the socket closes. */
  async receive(socket: WebSocket, signal: AbortSignal): Promise<void> {
    clearTimeout(this.#timer);
    this.#connections += 1;
    try {
      await this.receiver.attach(socket, signal);
    } finally {
      this.#connections -= 1;
      if (this.#connections === 0) this.#endSoon();
    }
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.receiver.end(
      new ArchfarmError('client-gone', 'the client that has the files of this context is gone', {
        hint: 'start the build again, and keep the client running until its context is complete',
      }),
    );
  }

  #endSoon(): void {
    this.#timer = setTimeout(() => {
      this.#options.onEnd();
      void this.end();
    }, this.#options.returnWithin).unref();
  }
}

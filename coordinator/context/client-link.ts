/** What one client can give: a receiver that outlives its connections for a while, as the client dials again. */
import type { WebSocket } from 'ws';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { Transfers } from '../../shared/context/transfers.ts';
import { ArchfarmError } from '../../shared/errors.ts';

export interface ClientLinkOptions {
  readonly store: BlobStore;
  /** Shared by all links: what one client is asked for, builds of the others wait for. */
  readonly transfers: Transfers;
  /** Milliseconds for which a client that lost its connection may come back. */
  readonly returnWithin: number;
  /** It did not come back, or is not expected any more: what is missing fails. */
  readonly onEnd: () => void;
}

export class ClientLink {
  readonly receiver: BlobReceiver;
  /** How its user would call it, `user@host`; unknown until it has submitted a build. */
  client: string | undefined;
  readonly #options: ClientLinkOptions;
  #connections = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(options: ClientLinkOptions) {
    this.#options = options;
    this.receiver = new BlobReceiver(options);
    this.#endSoon();
  }

  /** Whether it can give nothing any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Until the socket closes. */
  async receive(
    socket: WebSocket,
    { givesPieces, signal }: { readonly givesPieces: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    clearTimeout(this.#timer);
    this.#connections += 1;
    try {
      await this.receiver.attach(socket, signal, { givesPieces });
    } finally {
      this.#connections -= 1;
      if (this.#connections === 0) this.#endSoon();
    }
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#options.onEnd();
    const name = this.client === undefined ? 'the client' : `client ${this.client}`;
    await this.receiver.end(
      new ArchfarmError(
        'client-gone',
        `${name} is gone, and nobody else has what is missing of its context`,
        {
          hint: 'start the build again, and keep the client running until the coordinator has what it needs',
        },
      ),
    );
  }

  #endSoon(): void {
    if (this.#hasEnded) return;
    this.#timer = setTimeout(() => void this.end(), this.#options.returnWithin).unref();
  }
}

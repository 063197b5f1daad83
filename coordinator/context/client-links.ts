/** The links of all clients: by the id that a client gave its own, or held for a client that is expected back. */
import type { BlobStore } from '../../shared/context/store.ts';
import { Transfers } from '../../shared/context/transfers.ts';
import { ClientLink } from './client-link.ts';

export interface ClientLinksOptions {
  readonly store: BlobStore;
  /** Milliseconds for which a client that is not there may come back. */
  readonly returnWithin: number;
}

export class ClientLinks {
  readonly #options: ClientLinksOptions;
  readonly #transfers: Transfers;
  readonly #byId = new Map<string, ClientLink>();
  readonly #all = new Set<ClientLink>();

  constructor(options: ClientLinksOptions) {
    this.#options = options;
    this.#transfers = new Transfers(options.store);
  }

  /** The link of that id; `expected` becomes it where there is none yet and it can still give something. */
  of(id: string, expected?: ClientLink): ClientLink {
    const link = this.#byId.get(id) ?? (expected?.hasEnded === false ? expected : this.expect());
    this.#byId.set(id, link);
    return link;
  }

  /** For a client that did not say yet by which id it will come. */
  expect(): ClientLink {
    const { store, returnWithin } = this.#options;
    const link = new ClientLink({
      store,
      transfers: this.#transfers,
      returnWithin,
      onEnd: () => this.#forget(link),
    });
    this.#all.add(link);
    return link;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((link) => link.end()));
  }

  #forget(link: ClientLink): void {
    this.#all.delete(link);
    for (const [id, known] of this.#byId) if (known === link) this.#byId.delete(id);
  }
}

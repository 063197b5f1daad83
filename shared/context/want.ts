/** One receiver's part in a transfer: those who wait for it here, and its place among what is to be asked for. */
import { ArchfarmError } from '../errors.ts';
import type { BlobWriter } from './blob-writer.ts';
import { Outcome, Waiter, type Waiting } from './outcome.ts';
import type { Queue, Queued } from './queue.ts';
import type { Party, Transfer } from './transfer.ts';
import type { WantedChunk, WantedItem } from './transfer-messages.ts';
import { WholeContent } from './whole-content.ts';

export interface WantOwner {
  /** It may be asked for now. */
  free(want: Want): void;
  /** Nobody waits for it any more. */
  abandoned(want: Want): void;
}

export interface WantOptions {
  readonly owner: WantOwner;
  readonly urgent: boolean;
  /** Where a chunk belongs, as this receiver's other side knows it. */
  readonly place: Pick<WantedChunk, 'offset' | 'of' | 'ofSize'> | undefined;
}

export class Want implements Party, Queued<Want> {
  readonly transfer: Transfer;
  readonly owner: WantOwner;
  urgent: boolean;
  /** How often it was asked for without coming. */
  fruitless = 0;
  queue: Queue<Want> | undefined;
  before: Want | undefined;
  after: Want | undefined;
  readonly #place: WantOptions['place'];
  readonly #landed = new Outcome<Buffer | BlobWriter>();
  readonly #stored = new Outcome<void>();

  constructor(transfer: Transfer, { owner, urgent, place }: WantOptions) {
    this.transfer = transfer;
    this.owner = owner;
    this.urgent = urgent;
    this.#place = place;
    transfer.join(this);
  }

  /** What is to be sent, as it is now. */
  get item(): WantedItem {
    const { kind, digest, size, written, parts } = this.transfer;
    if (kind === 'recipe-parts') return { kind, digest, size, offset: 0, parts };
    if (kind !== 'chunk' && kind !== 'chunk-pieces' && kind !== 'chunk-parts')
      return { kind, digest, size, offset: written };
    if (this.#place === undefined) throw new ArchfarmError('internal', `the chunk ${digest} of nothing`);
    const chunk = { digest, size, ...this.#place };
    return kind === 'chunk-parts' ? { kind, ...chunk, parts } : { kind, ...chunk };
  }

  /** The whole content. */
  async whole(signal: AbortSignal): Promise<Buffer> {
    const content = await this.#here(signal);
    if (Buffer.isBuffer(content)) return content;
    throw new ArchfarmError('internal', `${this.transfer.digest} is too large to be taken whole`);
  }

  /** The content as it comes. Its stream fails when it turns out wrong. */
  async content(signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const content = await this.#here(signal);
    return Buffer.isBuffer(content) ? new WholeContent(content) : content.read(signal);
  }

  /** Settles the promise when it is in the store. */
  tellStored(promise: Waiting<void>, signal: AbortSignal): void {
    this.#stored.tell(new Waiter(promise, signal, this));
  }

  free(): void {
    this.owner.free(this);
  }

  landed(content: Buffer | BlobWriter): void {
    // One that is read while it arrives may still have to be asked for again.
    if (Buffer.isBuffer(content)) this.queue?.remove(this);
    this.#landed.resolve(content);
  }

  stored(): void {
    this.queue?.remove(this);
    this.#stored.resolve();
  }

  failed(error: unknown): void {
    this.queue?.remove(this);
    this.#landed.reject(error);
    this.#stored.reject(error);
  }

  aborted(): void {
    // What has begun to come has readers that are not seen here.
    if (this.#landed.isSettled || this.#landed.hasWaiters || this.#stored.hasWaiters) return;
    this.owner.abandoned(this);
  }

  #here(signal: AbortSignal): Promise<Buffer | BlobWriter> {
    return new Promise((resolve, reject) => {
      this.#landed.tell(new Waiter<Buffer | BlobWriter>({ resolve, reject }, signal, this));
    });
  }
}

/**
 * The receiving end of a transfer: contents come from the store or, once for all who wait, from the other side. What
 * was asked for on a connection that broke is asked for again on the next; large contents go on where they were cut.
 */
import { ArchfarmError } from '../errors.ts';
import { Connection } from './connection.ts';
import { decodeDirectory } from './encoding.ts';
import type { TransferSocket } from './frames.ts';
import type { Content, ContentSource } from './sender.ts';
import type { BlobStore } from './store.ts';
import { Transfer } from './transfer.ts';
import { itemName, maxBatchItems, type WantedItem } from './transfer-messages.ts';
import type { ContextSource, Digest, Directory } from './tree.ts';

export interface ReceiverOptions {
  readonly store: BlobStore;
}

/** Of a batch, except that a larger content is one alone. */
const batchBytes = 1024 * 1024;

export class BlobReceiver implements ContextSource, ContentSource {
  readonly #store: BlobStore;
  /** All that is wanted, by name, until it is here. */
  readonly #transfers = new Map<string, Transfer>();
  readonly #urgent: Transfer[] = [];
  readonly #later: Transfer[] = [];
  #connection: Connection | undefined;
  #ended: ArchfarmError | undefined;
  #receivedBytes = 0;
  #asking = false;

  constructor({ store }: ReceiverOptions) {
    this.#store = store;
  }

  /** Bytes of contents and records that came over connections, not from the store. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Receives over this socket until it closes; a former one is given up. Throws `protocol` on a bad frame, having closed it. */
  async attach(socket: TransferSocket, signal: AbortSignal): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    this.#connection?.stop();
    const connection = new Connection(socket, {
      bytes: (count) => (this.#receivedBytes += count),
      room: () => this.#askSoon(),
      settled: (name) => this.#transfers.delete(name),
    });
    this.#connection = connection;
    this.#askSoon();
    try {
      await connection.run(signal);
    } finally {
      if (this.#connection === connection) this.#connection = undefined;
      // In front: they have waited longest.
      if (this.#ended === undefined) this.#urgent.unshift(...connection.unanswered);
      this.#askSoon();
    }
  }

  /** Nobody will send any more: what is missing, now or later, fails with the error. */
  async end(error: ArchfarmError): Promise<void> {
    this.#ended = error;
    this.#connection?.stop();
    this.#urgent.length = 0;
    this.#later.length = 0;
    const transfers = [...this.#transfers.values()];
    this.#transfers.clear();
    for (const transfer of transfers) await transfer.fail(error);
  }

  async directory(digest: Digest, signal: AbortSignal): Promise<Directory> {
    return decodeDirectory(digest, await this.record(digest, signal));
  }

  /** The bytes of a directory's record. */
  async record(digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const stored = await this.#store.record(digest);
    return stored ?? this.#want({ kind: 'directory', digest, size: 0 }, this.#urgent).whole(signal);
  }

  async blob(digest: Digest, size: number, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    // BuildKit asks for empty files too.
    if (size === 0) return none();
    const stored = await this.#store.blob(digest, size);
    return stored ?? this.#want({ kind: 'blob', digest, size }, this.#urgent).stream(signal);
  }

  /** Brings a content into the store when nothing urgent is to be fetched. */
  async prefetch(digest: Digest, size: number, signal: AbortSignal): Promise<void> {
    const item = { kind: 'blob', digest, size } as const;
    if (size === 0 || (await this.#store.has(item))) return;
    await this.#want(item, this.#later).stored(signal);
  }

  /** To send on what is here, or what is just arriving. */
  async open({ kind, digest, size, offset }: WantedItem, signal: AbortSignal): Promise<Content> {
    if (kind === 'directory') {
      const record = await this.record(digest, signal);
      return { size: record.length, chunks: one(record) };
    }
    if (offset > size)
      throw new ArchfarmError('protocol', `${digest} was wanted from byte ${offset} of ${size}`);
    return { size: size - offset, chunks: skip(await this.blob(digest, size, signal), offset) };
  }

  #want(item: Omit<WantedItem, 'offset'>, queue: Transfer[]): Transfer {
    const name = itemName(item);
    const known = this.#transfers.get(name);
    if (known !== undefined) {
      const waiting = this.#later.indexOf(known);
      if (queue === this.#urgent && waiting !== -1) this.#urgent.push(...this.#later.splice(waiting, 1));
      return known;
    }
    if (this.#ended !== undefined) throw this.#ended;
    const transfer = new Transfer(item, this.#store);
    this.#transfers.set(name, transfer);
    queue.push(transfer);
    this.#askSoon();
    return transfer;
  }

  /** After the present turn, so that what is wanted together is asked for together. */
  #askSoon(): void {
    if (this.#asking) return;
    this.#asking = true;
    setImmediate(() => {
      this.#asking = false;
      for (const queue of [this.#urgent, this.#later]) {
        while (queue.length > 0 && this.#connection?.hasRoom === true) {
          this.#connection.ask(takeBatch(queue), { urgent: queue === this.#urgent });
        }
      }
    });
  }
}

function takeBatch(queue: Transfer[]): Transfer[] {
  let bytes = 0;
  const end = queue.findIndex((transfer, index) => {
    bytes += transfer.expected;
    return index > 0 && (index === maxBatchItems || bytes > batchBytes);
  });
  return queue.splice(0, end === -1 ? queue.length : end);
}

async function* none(): AsyncGenerator<Buffer> {}

async function* one(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

async function* skip(chunks: AsyncIterable<Buffer>, offset: number): AsyncGenerator<Buffer> {
  let left = offset;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

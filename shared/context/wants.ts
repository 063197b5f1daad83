/**
 * All that one receiver wants of its other side, in the order in which it asks for it. What was asked for on a
 * connection that broke is asked for again on the next.
 */
import { ArchfarmError } from '../errors.ts';
import { batchBytes, Connection } from './connection.ts';
import type { TransferSocket } from './frames.ts';
import { Queue } from './queue.ts';
import type { TransferItem } from './transfer.ts';
import { isOfPieces, maxBatchItems, type WantedChunk } from './transfer-messages.ts';
import type { Transfers } from './transfers.ts';
import { Want, type WantOwner } from './want.ts';

/** The place of a chunk is needed to ask for it, or for parts of it. */
export type NewWant = TransferItem & Partial<Pick<WantedChunk, 'offset' | 'of' | 'ofSize'>>;

export class Wants implements WantOwner {
  readonly #urgent = new Queue<Want>();
  readonly #later = new Queue<Want>();
  /** What another receiver asks for. */
  readonly #elsewhere = new Queue<Want>();
  readonly #running = new Set<Promise<void>>();
  #connection: Connection | undefined;
  /** Whether the other side of the connection knows what that is. */
  #givesPieces = false;
  #ended: ArchfarmError | undefined;
  #receivedBytes = 0;
  #asking = false;

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Asks over this socket until it closes; a former one is given up. Throws `protocol` on a bad frame, having closed it. */
  async attach(socket: TransferSocket, signal: AbortSignal, givesPieces = false): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    this.#connection?.stop();
    const connection = new Connection(socket, {
      bytes: (count) => (this.#receivedBytes += count),
      room: () => this.#askSoon(),
    });
    this.#givesPieces = givesPieces;
    this.#connection = connection;
    this.#askSoon();
    const running = this.#run(connection, signal);
    this.#running.add(running);
    try {
      await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** There is nobody to ask any more. Resolves when all that waits for no other receiver has failed with the error. */
  async end(reason: ArchfarmError): Promise<void> {
    this.#ended = reason;
    this.#connection?.stop();
    for (const queue of [this.#urgent, this.#later, this.#elsewhere]) {
      for (let want = queue.first; want !== undefined; want = queue.first) {
        queue.remove(want);
        await want.transfer.withdraw(want, reason);
      }
    }
    await Promise.allSettled(this.#running);
  }

  /** The same one for all who wait here. Throws the error of `end` when nobody can be asked. */
  want({ kind, digest, size, parts, ...place }: NewWant, transfers: Transfers, urgent: boolean): Want {
    const transfer = transfers.find({ kind, digest, size });
    const known = transfer?.parties.find(
      (party): party is Want => party instanceof Want && party.owner === this,
    );
    if (known !== undefined) {
      if (urgent) this.#hurry(known);
      return known;
    }
    if (transfer === undefined && this.#ended !== undefined) throw this.#ended;
    const { offset, of, ofSize } = place;
    const want = new Want(transfer ?? transfers.begin({ kind, digest, size, parts }), {
      owner: this,
      urgent,
      place:
        offset === undefined || of === undefined || ofSize === undefined ? undefined : { offset, of, ofSize },
    });
    if (this.#ended === undefined) this.free(want);
    else void want.transfer.withdraw(want, this.#ended);
    return want;
  }

  free(want: Want): void {
    const queue = want.urgent ? this.#urgent : this.#later;
    // In front where it has waited before.
    if (want.queue === this.#elsewhere) queue.unshift(want);
    else if (want.queue === undefined) queue.push(want);
    this.#askSoon();
  }

  abandoned(want: Want): void {
    if (want.queue === undefined) return;
    want.queue.remove(want);
    void want.transfer.leave(want);
  }

  #hurry(want: Want): void {
    want.urgent = true;
    if (want.queue === this.#later) this.#urgent.push(want);
    this.#askSoon();
  }

  async #run(connection: Connection, signal: AbortSignal): Promise<void> {
    try {
      await connection.run(signal);
    } finally {
      if (this.#connection === connection) this.#connection = undefined;
      for (const want of connection.unanswered.toReversed()) await this.#giveBack(want);
      this.#askSoon();
    }
  }

  async #giveBack(want: Want): Promise<void> {
    if (this.#ended !== undefined) return want.transfer.withdraw(want, this.#ended);
    // In front: it has waited longest.
    (want.urgent ? this.#urgent : this.#later).unshift(want);
    want.transfer.letGo(want);
  }

  /** After the present turn, so that what is wanted together is asked for together. */
  #askSoon(): void {
    if (this.#asking) return;
    this.#asking = true;
    setImmediate(() => {
      this.#asking = false;
      for (const queue of [this.#urgent, this.#later]) {
        while (queue.first !== undefined && this.#connection?.hasRoom === true) {
          const batch = this.#takeBatch(queue);
          if (batch.length > 0) this.#connection.ask(batch, { urgent: queue === this.#urgent });
        }
      }
    });
  }

  #takeBatch(queue: Queue<Want>): Want[] {
    const batch: Want[] = [];
    let bytes = 0;
    for (let want = queue.first; want !== undefined; want = queue.first) {
      const { transfer } = want;
      const isFull = batch.length === maxBatchItems || bytes + transfer.expected > batchBytes;
      if (isFull && batch.length > 0) break;
      if (isOfPieces(transfer.kind) && !this.#givesPieces) {
        queue.remove(want);
        void transfer.withdraw(want, new ArchfarmError('protocol', 'the other side gives no pieces'));
        continue;
      }
      if (!transfer.begin(want)) {
        this.#elsewhere.push(want);
        continue;
      }
      bytes += transfer.expected;
      queue.remove(want);
      batch.push(want);
    }
    return batch;
  }
}

/** The receiver's side of one socket: what was asked for on it, and the answers. */
import { ArchfarmError, fromErrorInfo, messageOf } from '../errors.ts';
import { Frames, goingAway, malformedFrame, type TransferSocket } from './frames.ts';
import { TarIntake, type TarEntry } from './tar-intake.ts';
import type { Transfer } from './transfer.ts';
import { decodeAnswer, itemName, type Answer, type Want } from './transfer-messages.ts';

/** Asked for and not yet here: what an urgent content can have to wait for, and enough to fill a long line. */
const windowBytes = 4 * 1024 * 1024;
/** Bounds the same for many tiny contents. */
const windowItems = 1024;
/** Came and is being written. */
const maxStoringBytes = 4 * 1024 * 1024;
/** A sender that ends batches without their contents has something wrong with it. */
const maxFruitless = 3;

export interface ConnectionEvents {
  /** Bytes of contents came. */
  bytes(count: number): void;
  /** There is room to ask for more. */
  room(): void;
  /** An item came or failed for good. */
  settled(name: string): void;
}

export class Connection {
  readonly #frames: Frames;
  readonly #events: ConnectionEvents;
  readonly #asked = new Map<string, Transfer>();
  readonly #batches = new Map<number, { readonly names: readonly string[]; readonly bytes: number }>();
  readonly #stop = new AbortController();
  #lastBatch = 0;
  #askedBytes = 0;
  readonly #storing = new Set<Promise<void>>();
  #storingBytes = 0;

  constructor(socket: TransferSocket, events: ConnectionEvents) {
    this.#frames = new Frames(socket);
    this.#events = events;
  }

  get hasRoom(): boolean {
    return !this.#frames.closed && this.#askedBytes < windowBytes && this.#asked.size < windowItems;
  }

  /** What was asked for and neither came nor failed. */
  get unanswered(): readonly Transfer[] {
    return [...this.#asked.values()];
  }

  /** Ends `run` without an error. */
  stop(): void {
    this.#stop.abort(new Error('no longer needed'));
  }

  ask(transfers: readonly Transfer[], { urgent }: { readonly urgent: boolean }): void {
    const batch = ++this.#lastBatch;
    const items = transfers.map((transfer) => ({ ...transfer.item, offset: transfer.offset }));
    const bytes = transfers.reduce((sum, transfer) => sum + transfer.expected, 0);
    for (const transfer of transfers) this.#asked.set(itemName(transfer.item), transfer);
    this.#batches.set(batch, { names: items.map(itemName), bytes });
    this.#askedBytes += bytes;
    const want: Want = { type: 'want', batch, urgent, items };
    this.#frames.post(JSON.stringify(want));
  }

  /** Until the socket closes. Throws `protocol` on a bad frame, having closed the socket. */
  async run(signal: AbortSignal): Promise<void> {
    const broken = new AbortController();
    const ending = AbortSignal.any([signal, this.#stop.signal, broken.signal]);
    let intake: TarIntake | undefined;
    try {
      for await (const { binary, content } of this.#frames.receive(ending)) {
        if (binary) {
          intake ??= new TarIntake(
            (entry) => this.#land(entry),
            (error) => broken.abort(error),
          );
          await intake.write(content);
          continue;
        }
        const answer = decodeAnswer(content);
        if (answer.type === 'missing') {
          await this.#fail(answer);
        } else {
          await endOf(intake);
          intake = undefined;
          await this.#endBatch(answer.batch);
        }
      }
      this.#frames.release();
    } catch (error) {
      const isOver = signal.aborted || this.#stop.signal.aborted;
      this.#frames.release({ code: isOver ? goingAway : malformedFrame, reason: messageOf(error) });
      if (this.#stop.signal.aborted) return;
      throw isOver || error instanceof ArchfarmError
        ? error
        : new ArchfarmError('protocol', `a broken transfer: ${messageOf(error)}`, { cause: error });
    } finally {
      await intake?.destroy();
      await Promise.all(this.#storing);
    }
  }

  async #land({ name, size, chunks }: TarEntry): Promise<void> {
    const transfer = this.#asked.get(name);
    if (transfer === undefined) throw new ArchfarmError('protocol', `${name} was sent and not wanted`);
    await transfer.land(size, this.#counted(chunks));
    this.#asked.delete(name);
    this.#store(name, { transfer, size });
    while (this.#storingBytes > maxStoringBytes) await Promise.race(this.#storing);
  }

  /** Several at a time, since the store writes together what it is given together. */
  #store(name: string, { transfer, size }: { readonly transfer: Transfer; readonly size: number }): void {
    this.#storingBytes += size;
    const storing = transfer.store().finally(() => {
      this.#storing.delete(storing);
      this.#storingBytes -= size;
      this.#events.settled(name);
    });
    this.#storing.add(storing);
  }

  async *#counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#events.bytes(chunk.length);
      yield chunk;
    }
  }

  async #fail({ item, error }: Extract<Answer, { type: 'missing' }>): Promise<void> {
    const transfer = this.#asked.get(item);
    if (transfer === undefined) throw new ArchfarmError('protocol', `${item} is missing and was not wanted`);
    this.#settle(item);
    await transfer.fail(fromErrorInfo(error));
  }

  async #endBatch(number: number): Promise<void> {
    const batch = this.#batches.get(number);
    if (batch === undefined) throw new ArchfarmError('protocol', `batch ${number} ended and was not wanted`);
    this.#batches.delete(number);
    this.#askedBytes -= batch.bytes;
    const again: Transfer[] = [];
    for (const name of batch.names) {
      const transfer = this.#asked.get(name);
      if (transfer === undefined) continue;
      if (++transfer.fruitless < maxFruitless) {
        again.push(transfer);
      } else {
        this.#settle(name);
        await transfer.fail(
          new ArchfarmError('protocol', `${name} was wanted ${maxFruitless} times and not sent`),
        );
      }
    }
    if (again.length > 0) this.ask(again, { urgent: true });
    this.#events.room();
  }

  #settle(name: string): void {
    this.#asked.delete(name);
    this.#events.settled(name);
  }
}

/** A tar that was cut, because an item failed in the middle, is no error: what it lacks is asked for again. */
async function endOf(intake: TarIntake | undefined): Promise<void> {
  try {
    await intake?.end();
  } catch (error) {
    if (error instanceof ArchfarmError) throw error;
  }
}

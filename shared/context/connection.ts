/** The receiver's side of one socket: what was asked for on it, and the answers. */
import { ChildAbort } from '../abort.ts';
import { ArchfarmError, fromErrorInfo, messageOf } from '../errors.ts';
import { Frames, goingAway, malformedFrame, type TransferSocket } from './frames.ts';
import { TarIntake, type TarTaker } from './tar-intake.ts';
import type { Transfer } from './transfer.ts';
import {
  decodeAnswer,
  itemName,
  maxBatchItems,
  type Answer,
  type Want as WantFrame,
} from './transfer-messages.ts';
import { Wakeup } from './wakeup.ts';
import type { Want } from './want.ts';

/** Asked for and not yet here: what an urgent content can have to wait for, and enough to fill a long line. */
const windowBytes = 4 * 1024 * 1024;
/** Bounds the same for many tiny contents. */
const windowItems = 1024;
/** Of a batch, except that a larger content is one alone. */
export const batchBytes = 1024 * 1024;
/** Came and is being written. */
const maxStoringBytes = 4 * 1024 * 1024;
/** A sender that ends batches without their contents has something wrong with it. */
const maxFruitless = 3;

export interface ConnectionEvents {
  /** Bytes of contents came. */
  bytes(count: number): void;
  /** There is room to ask for more. */
  room(): void;
}

interface Asked {
  readonly want: Want;
  readonly batch: number;
  /** For which it counts in the window. */
  readonly bytes: number;
}

export class Connection implements TarTaker {
  readonly #frames: Frames;
  readonly #events: ConnectionEvents;
  readonly #asked = new Map<string, Asked>();
  readonly #batches = new Map<number, readonly string[]>();
  readonly #stop = new AbortController();
  readonly #stored = new Wakeup();
  #lastBatch = 0;
  #askedBytes = 0;
  #storing = 0;
  #storingBytes = 0;

  constructor(socket: TransferSocket, events: ConnectionEvents) {
    this.#frames = new Frames(socket);
    this.#events = events;
  }

  /** For a whole batch. */
  get hasRoom(): boolean {
    return (
      !this.#frames.closed &&
      this.#askedBytes + batchBytes <= windowBytes &&
      this.#asked.size + maxBatchItems <= windowItems
    );
  }

  /** What was asked for and neither came nor failed. */
  get unanswered(): readonly Want[] {
    return Array.from(this.#asked.values(), ({ want }) => want);
  }

  /** Ends `run` without an error. */
  stop(): void {
    this.#stop.abort(new Error('no longer needed'));
  }

  ask(wants: readonly Want[], { urgent }: { readonly urgent: boolean }): void {
    const batch = ++this.#lastBatch;
    const items = wants.map((want) => want.item);
    const names = items.map(itemName);
    for (const [index, want] of wants.entries()) {
      const bytes = want.transfer.expected;
      this.#asked.set(names[index] ?? '', { want, batch, bytes });
      this.#askedBytes += bytes;
    }
    this.#batches.set(batch, names);
    const frame: WantFrame = { type: 'want', batch, urgent, items };
    this.#frames.post(JSON.stringify(frame));
  }

  /** Until the socket closes. Throws `protocol` on a bad frame, having closed the socket. */
  async run(signal: AbortSignal): Promise<void> {
    using broken = new ChildAbort(signal, this.#stop.signal);
    let intake: TarIntake | undefined;
    try {
      for await (const { binary, content } of this.#frames.receive(broken.signal)) {
        if (binary) {
          intake ??= new TarIntake(this, (error) => broken.abort(error));
          await intake.write(content);
          continue;
        }
        const answer = decodeAnswer(content);
        // One that fails half way is let go before another receiver may go on with it.
        if (answer.type === 'end' || answer.item === intake?.current) {
          await endOf(intake);
          intake = undefined;
        }
        if (answer.type === 'missing') await this.#fail(answer);
        else if (answer.more !== true) await this.#endBatch(answer.batch);
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
      while (this.#storing > 0) await this.#stored.wait();
    }
  }

  takesWhole(name: string, size: number): boolean {
    const asked = this.#asked.get(name);
    if (asked === undefined) throw new ArchfarmError('protocol', `${name} was sent and not wanted`);
    const { transfer } = asked.want;
    transfer.checkSize(size);
    return transfer.isWhole;
  }

  async take(name: string, content: Buffer): Promise<void> {
    const want = this.#settle(name);
    if (want === undefined) return;
    this.#events.bytes(content.length);
    if (!(await want.transfer.land(want, content))) return;
    void this.#store(want.transfer, content.length);
    while (this.#storingBytes > maxStoringBytes) await this.#stored.wait();
  }

  async takeChunks(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    const transfer = this.#asked.get(name)?.want.transfer;
    await transfer?.landChunks(this.#counted(chunks));
    this.#settle(name);
    if (transfer !== undefined) await this.#store(transfer, 0);
  }

  /** Several at a time, since the store writes together what it is given together. */
  async #store(transfer: Transfer, bytes: number): Promise<void> {
    this.#storing += 1;
    this.#storingBytes += bytes;
    await transfer.store();
    this.#storing -= 1;
    this.#storingBytes -= bytes;
    this.#stored.wake();
  }

  async *#counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#events.bytes(chunk.length);
      yield chunk;
    }
  }

  async #fail({ item, error }: Extract<Answer, { type: 'missing' }>): Promise<void> {
    const want = this.#settle(item);
    if (want === undefined) throw new ArchfarmError('protocol', `${item} is missing and was not wanted`);
    await want.transfer.withdraw(want, fromErrorInfo(error));
  }

  async #endBatch(number: number): Promise<void> {
    const names = this.#batches.get(number);
    if (names === undefined) throw new ArchfarmError('protocol', `batch ${number} ended and was not wanted`);
    this.#batches.delete(number);
    const again: Want[] = [];
    for (const name of names) {
      if (this.#asked.get(name)?.batch !== number) continue;
      const want = this.#settle(name);
      if (want === undefined) continue;
      if (++want.fruitless < maxFruitless) {
        again.push(want);
      } else {
        const error = `${name} was wanted ${maxFruitless} times and not sent`;
        await want.transfer.withdraw(want, new ArchfarmError('protocol', error));
      }
    }
    if (again.length > 0) this.ask(again, { urgent: true });
  }

  /** No answer for it is waited for any more. */
  #settle(name: string): Want | undefined {
    const asked = this.#asked.get(name);
    if (asked === undefined) return undefined;
    this.#asked.delete(name);
    this.#askedBytes -= asked.bytes;
    this.#events.room();
    return asked.want;
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

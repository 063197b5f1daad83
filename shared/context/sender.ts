/** The sending end of a transfer: answers each wanted batch with small tars of what is at hand, urgent ones first. */
import { delay } from '../abort.ts';
import { ArchfarmError, messageOf, toErrorInfo } from '../errors.ts';
import { Archive } from './archive.ts';
import { FramePool } from './frame-pool.ts';
import { Frames, goingAway, internalError, malformedFrame, type TransferSocket } from './frames.ts';
import { Opening, type Openable } from './opening.ts';
import { smallBytes } from './pack-format.ts';
import { expectedRecordBytes } from './transfer.ts';
import { decodeWant, itemName, type Answer, type Want, type WantedItem } from './transfer-messages.ts';
import { Wakeup } from './wakeup.ts';
import { WholeContent, wholeOf } from './whole-content.ts';

/** Something to send, from its offset on. */
export interface Content {
  /** Bytes from the offset to the end. */
  readonly size: number;
  /** Must give exactly that many bytes or throw. */
  readonly chunks: AsyncIterable<Buffer>;
}

export interface ContentSource {
  /**
   * Called when an item is wanted, ahead of its turn: what has to come from afar sets out at once. What goes beyond what a
   * receiver wants at a time waits for that to be sent.
   */
  open(item: WantedItem, signal: AbortSignal): Promise<Content>;
}

/** Bytes of a binary frame at most. */
const frameBytes = 128 * 1024;
/** Items that may wait to be sent: four times those that a receiver wants at a time. */
const maxWaitingItems = 4096;
/** A part of a batch is sent before the rest is at hand when it has as many bytes, or nothing else is to be done. */
const partBytes = 256 * 1024;
/** Milliseconds in which the rest of a batch may come and need no tar of its own. */
const partPatience = 2;

interface Wanted extends Openable<Wanted> {
  readonly item: WantedItem;
  readonly name: string;
  readonly batch: Batch;
  content: Content | undefined;
  error: unknown;
}

interface Batch extends Pick<Want, 'batch' | 'urgent'> {
  /** At hand. */
  ready: Wanted[];
  readyBytes: number;
  /** Neither sent nor missing. */
  left: number;
}

/** Serves one socket until it closes. Throws `protocol` when the other side breaks the protocol, having closed it. */
export async function sendContents(
  socket: TransferSocket,
  source: ContentSource,
  signal: AbortSignal,
): Promise<void> {
  const frames = new Frames(socket);
  const stop = new AbortController();
  const sender = new Sender(frames, source, AbortSignal.any([signal, stop.signal]));
  const ended = new Error('the connection for contexts ended');
  try {
    await Promise.all([
      sender.readWants().finally(() => stop.abort(ended)),
      sender.sendBatches().catch((error: unknown) => {
        // What was under way when the other side left is wanted again on its next connection.
        if (error !== ended && !frames.closed) throw error;
      }),
    ]);
    frames.release();
  } catch (error) {
    stop.abort(ended);
    const isProtocol = error instanceof ArchfarmError && error.code === 'protocol';
    const failed = signal.aborted ? goingAway : internalError;
    frames.release({ code: isProtocol ? malformedFrame : failed, reason: messageOf(error) });
    throw error;
  }
}

class Sender {
  readonly #frames: Frames;
  readonly #source: ContentSource;
  readonly #signal: AbortSignal;
  readonly #changed = new Wakeup();
  readonly #pool = new FramePool(frameBytes);
  readonly #opening = new Opening<Wanted>((wanted) => {
    if (!this.#signal.aborted) void this.#open(wanted);
  });
  #waiting: Batch[] = [];
  #waitingItems = 0;
  /** Of items of which no byte was sent. */
  readonly #names = new Set<string>();

  constructor(frames: Frames, source: ContentSource, signal: AbortSignal) {
    this.#frames = frames;
    this.#source = source;
    this.#signal = signal;
  }

  async readWants(): Promise<void> {
    for await (const frame of this.#frames.receive(this.#signal)) {
      if (frame.binary) throw new ArchfarmError('protocol', 'a binary frame from the receiver of a transfer');
      this.#add(decodeWant(frame.content));
    }
  }

  /** Ends by the signal only. What is slow to come holds up nothing that is here. */
  async sendBatches(): Promise<never> {
    for (;;) {
      if (!this.#waiting.some(hasSome)) await this.#changed.wait(this.#signal);
      else if (!this.#waiting.some(hasEnough)) await delay(partPatience, this.#signal);
      const batch = this.#next(hasEnough) ?? this.#next(hasSome);
      if (batch !== undefined) await this.#sendReady(batch);
    }
  }

  #next(isDue: (batch: Batch) => boolean): Batch | undefined {
    const due = this.#waiting.filter(isDue);
    return due.find((batch) => batch.urgent) ?? due[0];
  }

  #add({ batch: number, urgent, items }: Want): void {
    this.#waitingItems += items.length;
    if (this.#waitingItems > maxWaitingItems)
      throw new ArchfarmError('protocol', 'too many contents wanted at once');
    const batch: Batch = { batch: number, urgent, ready: [], readyBytes: 0, left: items.length };
    this.#waiting.push(batch);
    for (const item of items) {
      const name = itemName(item);
      if (this.#names.has(name))
        throw new ArchfarmError('protocol', `${name} was wanted again before it was answered`);
      this.#names.add(name);
      this.#opening.add({
        item,
        name,
        batch,
        urgent,
        bytes: expectedBytes(item),
        content: undefined,
        error: undefined,
        queue: undefined,
        before: undefined,
        after: undefined,
      });
    }
  }

  async #open(wanted: Wanted): Promise<void> {
    const { item, batch } = wanted;
    try {
      const content = await this.#readAhead(item, await this.#source.open(item, this.#signal));
      wanted.content = content;
      // Others are read in their turn, or by their sources as a whole.
      if (content.chunks instanceof WholeContent) this.#opening.takes(wanted, content.size);
    } catch (error) {
      wanted.error = error;
      this.#opening.takes(wanted, 0);
    }
    batch.ready.push(wanted);
    batch.readyBytes += wanted.content?.size ?? 0;
    this.#changed.wake();
  }

  /** Small ones are read side by side, large ones in their turn. */
  async #readAhead(item: WantedItem, content: Content): Promise<Content> {
    const { size, chunks } = content;
    if (chunks instanceof WholeContent || size > smallBytes) return content;
    const bytes = await wholeOf(chunks);
    if (bytes.length !== size)
      throw new ArchfarmError('internal', `${item.digest} has ${bytes.length} bytes and not ${size}`);
    return { size, chunks: new WholeContent(bytes) };
  }

  async #sendReady(batch: Batch): Promise<void> {
    const { batch: number, ready } = batch;
    batch.ready = [];
    batch.readyBytes = 0;
    const found = new Map<string, Content>();
    // Whoever has one of them may want it again while the others are sent.
    for (const { name } of ready) this.#names.delete(name);
    for (const { name, content, error } of ready) {
      if (content === undefined) await this.#sendMissing(number, name, error);
      else found.set(name, content);
    }
    const unsent = new Set(found.size === 0 ? [] : await this.#sendTar(number, found));
    for (const wanted of ready) {
      if (unsent.has(wanted.name)) {
        this.#names.add(wanted.name);
        batch.ready.push(wanted);
      } else {
        this.#opening.takes(wanted, 0);
      }
    }
    const sent = ready.length - unsent.size;
    batch.left -= sent;
    this.#waitingItems -= sent;
    if (batch.left === 0) this.#waiting = this.#waiting.filter((other) => other !== batch);
    await this.#send({ type: 'end', batch: number, ...(batch.left === 0 ? {} : { more: true }) });
  }

  /** Gives the names of what has to be sent in another tar, this one having ended early. */
  async #sendTar(batch: number, contents: ReadonlyMap<string, Content>): Promise<readonly string[]> {
    const archive = new Archive(contents);
    try {
      for await (const { bytes, release } of this.#pool.join(archive.bytes())) {
        await this.#frames.send(bytes, this.#signal, release);
      }
      return [];
    } catch (error) {
      const { current } = archive;
      if (current === undefined || this.#signal.aborted) throw error;
      await this.#sendMissing(batch, current, error);
      return archive.left;
    }
  }

  async #sendMissing(batch: number, item: string, error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#send({ type: 'missing', batch, item, error: toErrorInfo(error) });
  }

  async #send(answer: Answer): Promise<void> {
    await this.#frames.send(JSON.stringify(answer), this.#signal);
  }
}

/** What it may take in memory, as far as one knows before it is open: pieces and parts are taken out of the whole. */
function expectedBytes({ kind, size }: WantedItem): number {
  return kind === 'blob' || kind.startsWith('chunk') ? size : expectedRecordBytes;
}

function hasSome({ ready }: Batch): boolean {
  return ready.length > 0;
}

function hasEnough({ ready, readyBytes, left }: Batch): boolean {
  return ready.length > 0 && (ready.length === left || readyBytes >= partBytes);
}

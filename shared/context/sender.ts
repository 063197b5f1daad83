/** The sending end of a transfer: answers each wanted batch with a small tar, urgent ones first. */
import { Readable } from 'node:stream';
import tar from 'tar-fs';
import { ArchfarmError, messageOf, toErrorInfo } from '../errors.ts';
import { buffers } from './buffers.ts';
import { Frames, goingAway, internalError, malformedFrame, type TransferSocket } from './frames.ts';
import { decodeWant, itemName, type Answer, type Want, type WantedItem } from './transfer-messages.ts';
import { Wakeup } from './wakeup.ts';

/** Something to send, from its offset on. */
export interface Content {
  /** Bytes from the offset to the end. */
  readonly size: number;
  /** Must give exactly that many bytes or throw. */
  readonly chunks: AsyncIterable<Buffer>;
}

export interface ContentSource {
  /** Called when an item is wanted, ahead of its turn: what has to come from afar sets out at once. */
  open(item: WantedItem, signal: AbortSignal): Promise<Content>;
}

/** Bytes of a binary frame, about. */
const frameBytes = 128 * 1024;
/** Items that may wait to be sent; a receiver bounds its bytes and stays far below. */
const maxWaitingItems = 20_000;

interface Batch extends Pick<Want, 'batch' | 'urgent'> {
  readonly items: readonly { readonly item: WantedItem; readonly content: Promise<Content> }[];
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
  readonly #waiting: Batch[] = [];
  readonly #added = new Wakeup();

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

  /** Ends by the signal only. */
  async sendBatches(): Promise<never> {
    for (;;) {
      const urgent = this.#waiting.findIndex((batch) => batch.urgent);
      const [batch] = this.#waiting.splice(Math.max(urgent, 0), 1);
      if (batch === undefined) await this.#added.wait(this.#signal);
      else await this.#sendBatch(batch);
    }
  }

  #add({ batch, urgent, items }: Want): void {
    const waiting = this.#waiting.reduce((sum, other) => sum + other.items.length, items.length);
    if (waiting > maxWaitingItems) throw new ArchfarmError('protocol', 'too many contents wanted at once');
    const opened = items.map((item) => {
      const content = this.#source.open(item, this.#signal);
      // Looked at when its turn comes; until then a failure has no other owner.
      content.catch(() => {});
      return { item, content };
    });
    this.#waiting.push({ batch, urgent, items: opened });
    this.#added.wake();
  }

  async #sendBatch({ batch, items }: Batch): Promise<void> {
    const found: { item: WantedItem; content: Content }[] = [];
    for (const { item, content } of items) {
      try {
        found.push({ item, content: await content });
      } catch (error) {
        await this.#sendMissing(batch, { item, error });
      }
    }
    const archive = new Archive(found);
    try {
      for await (const chunk of inFrames(archive.bytes())) await this.#frames.send(chunk, this.#signal);
    } catch (error) {
      if (archive.current === undefined || this.#signal.aborted) throw error;
      // The tar ends here; what came after the failed item is wanted again.
      await this.#sendMissing(batch, { item: archive.current, error });
    }
    await this.#send({ type: 'end', batch });
  }

  async #sendMissing(batch: number, { item, error }: { item: WantedItem; error: unknown }): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#send({ type: 'missing', batch, item: itemName(item), error: toErrorInfo(error) });
  }

  async #send(answer: Answer): Promise<void> {
    await this.#frames.send(JSON.stringify(answer), this.#signal);
  }
}

/** Exists nowhere: tar-fs wants its entries to lie in some directory. */
const archiveRoot = '/contents';

/** A tar over a virtual file system, whose names are digests and whose files are contents from anywhere. */
class Archive {
  /** The item that is being read. */
  current: WantedItem | undefined;
  readonly #contents: ReadonlyMap<string, { readonly item: WantedItem; readonly content: Content }>;

  constructor(found: readonly { readonly item: WantedItem; readonly content: Content }[]) {
    this.#contents = new Map(found.map((each) => [itemName(each.item), each]));
  }

  async *bytes(): AsyncGenerator<Buffer> {
    if (this.#contents.size === 0) return;
    const files = {
      lstat: (path: string, done: (error: Error | null, stat?: object) => void): void => {
        const size = this.#contents.get(nameOf(path))?.content.size;
        if (size === undefined) return done(new Error(`${path} was not wanted`));
        return done(null, {
          size,
          mode: 0o644,
          uid: 0,
          gid: 0,
          mtime: new Date(0),
          isDirectory: () => false,
          isFile: () => true,
          isSymbolicLink: () => false,
          isSocket: () => false,
        });
      },
      createReadStream: (path: string): Readable =>
        Readable.from(this.#read(nameOf(path)), { objectMode: false }),
    };
    const options = { fs: files, entries: [...this.#contents.keys()], umask: 0 };
    yield* buffers(tar.pack(archiveRoot, options));
  }

  async *#read(name: string): AsyncGenerator<Buffer> {
    const found = this.#contents.get(name);
    if (found === undefined) return;
    this.current = found.item;
    yield* found.content.chunks;
    this.current = undefined;
  }
}

function nameOf(path: string): string {
  return path.slice(archiveRoot.length + 1);
}

/** Joins what a tar writes (headers, contents, padding) to frames of a good size. */
async function* inFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    bytes += chunk.length;
    if (bytes < frameBytes) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

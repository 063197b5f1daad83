/**
 * Sends gRPC messages over one stream. A write costs as much as copying 50 KB, so that small messages are gathered: all that
 * are sent in one turn of the event loop leave together.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { Deferred } from '../../shared/context/deferred.ts';

/** In one piece, or in several that need not be copied together. */
export type GrpcMessage = Buffer | readonly Buffer[];

/** Handed to the stream and not yet on its way, beyond which senders wait. */
const maxPendingBytes = 1 << 20;
/** Gathered at most; what is larger than a quarter of it goes by itself. */
const gatherBytes = 64 << 10;
const frameBytes = 5;

export class GrpcSender {
  readonly #stream: ServerHttp2Stream;
  readonly #signal: AbortSignal;
  /** To be written, in order; the gathered bytes come after them. */
  #parts: Buffer[] = [];
  #gathered = Buffer.alloc(0);
  #gatheredBytes = 0;
  #unwrittenBytes = 0;
  #pendingBytes = 0;
  #flushing: NodeJS.Immediate | undefined;
  #isOver = false;
  #room: Deferred<void> | undefined;

  constructor(stream: ServerHttp2Stream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#room?.reject(signal.reason), { once: true });
  }

  /** Resolves when there is room for more; rejects when the call is over. */
  async send(messages: readonly GrpcMessage[]): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#isOver) throw new Error('the call is over');
    this.post(messages);
    // Whoever is woken may find that others have filled it again.
    while (this.#pendingBytes > maxPendingBytes) {
      this.#room ??= new Deferred();
      await this.#room.promise;
      this.#signal.throwIfAborted();
    }
  }

  /** Nothing, once the call is over: a write after the end would cost the call its trailers. */
  post(messages: readonly GrpcMessage[]): void {
    if (this.#isOver) return;
    const before = this.#unwrittenBytes;
    for (const message of messages) this.#frame(message);
    this.#pendingBytes += this.#unwrittenBytes - before;
    if (this.#unwrittenBytes > gatherBytes) this.#flush();
    else this.#flushing ??= setImmediate(() => this.#flush());
  }

  /** Writes what was gathered, and takes nothing more. */
  end(): void {
    this.#flush();
    this.#isOver = true;
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    this.#takeGathered();
    const parts = this.#parts;
    const bytes = this.#unwrittenBytes;
    this.#parts = [];
    this.#unwrittenBytes = 0;
    if (parts.length === 0 || this.#stream.destroyed) return;
    this.#stream.cork();
    for (const [index, part] of parts.entries()) {
      if (index < parts.length - 1) this.#stream.write(part);
      else this.#stream.write(part, () => this.#written(bytes));
    }
    this.#stream.uncork();
  }

  #written(bytes: number): void {
    this.#pendingBytes -= bytes;
    if (this.#pendingBytes > maxPendingBytes / 2) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  #frame(message: GrpcMessage): void {
    const parts = Buffer.isBuffer(message) ? [message] : message;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const at = this.#reserve(frameBytes);
    this.#gathered[at] = 0;
    this.#gathered.writeUInt32BE(length, at + 1);
    for (const part of parts) this.#append(part);
    this.#unwrittenBytes += frameBytes + length;
  }

  #append(part: Buffer): void {
    if (part.length > gatherBytes / 4) {
      this.#takeGathered();
      this.#parts.push(part);
    } else {
      const at = this.#reserve(part.length);
      part.copy(this.#gathered, at);
    }
  }

  /** Room for that many bytes right after what was gathered; gives its place. */
  #reserve(bytes: number): number {
    if (this.#gatheredBytes + bytes > this.#gathered.length) {
      this.#takeGathered();
      this.#gathered = Buffer.allocUnsafeSlow(gatherBytes);
    }
    this.#gatheredBytes += bytes;
    return this.#gatheredBytes - bytes;
  }

  /** What comes next may go on in the same memory. */
  #takeGathered(): void {
    if (this.#gatheredBytes === 0) return;
    this.#parts.push(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#gathered = this.#gathered.subarray(this.#gatheredBytes);
    this.#gatheredBytes = 0;
  }
}

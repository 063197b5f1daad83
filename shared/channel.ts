/** Typed messages over one WebSocket: decodes, bounds what waits to be sent, and closes on the first bad frame. */
import type { RawData, WebSocket } from 'ws';
import { UnknownMessage } from './codec.ts';
import { messageOf } from './errors.ts';
import { closeCodes, limits } from './messages.ts';
import { Pace, type PaceLimits, type Spent } from './pace.ts';

export interface ChannelHandlers<In> {
  decode(frame: Buffer): In;
  message(message: In): void;
  /** Any byte of the other side, also pings. */
  heard?(): void;
  /** How fast the other side may talk; as it likes where absent. */
  readonly pace?: { readonly limits: PaceLimits; isOutput(message: In): boolean } | undefined;
  /** Once, with the code and reason of whoever closed first. */
  closed(code: number, reason: string): void;
}

export class Channel<In, Out> {
  readonly #socket: WebSocket;
  readonly #pace: Pace | undefined;
  #rest: NodeJS.Timeout | undefined;
  #open = true;
  /** How this side closed it: the other side may never answer, and its silence is not the reason. */
  #own: { readonly code: number; readonly reason: string } | undefined;

  constructor(socket: WebSocket, handlers: ChannelHandlers<In>) {
    this.#socket = socket;
    const { pace } = handlers;
    this.#pace = pace && new Pace(pace.limits, performance.now());
    socket.on('message', (data: RawData, binary: boolean) => {
      if (!this.#open) return;
      handlers.heard?.();
      if (binary) return this.close(closeCodes.malformed, 'binary frame on the control connection');
      let message: In;
      try {
        message = handlers.decode(toBuffer(data));
      } catch (error) {
        const code = error instanceof UnknownMessage ? closeCodes.version : closeCodes.malformed;
        return this.close(code, messageOf(error));
      }
      const bytes = lengthOf(data);
      if (pace !== undefined) this.#keepPace({ bytes, isOutput: pace.isOutput(message) });
      return this.#open ? handlers.message(message) : undefined;
    });
    socket.on('ping', () => handlers.heard?.());
    socket.on('pong', () => handlers.heard?.());
    // Errors of a socket are always followed by its close.
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      this.#open = false;
      clearTimeout(this.#rest);
      const { code: how, reason: why } = this.#own ?? { code, reason: reason.toString('utf8') };
      handlers.closed(how, why);
    });
  }

  get open(): boolean {
    return this.#open && this.#socket.readyState === this.#socket.OPEN;
  }

  /** A message on a closed channel is dropped: whoever needs an answer asks again on the next connection. */
  send(message: Out): void {
    if (!this.open) return;
    if (this.#socket.bufferedAmount > limits.outgoing) {
      return this.close(closeCodes.slow, `${limits.outgoing} bytes wait to be read`);
    }
    this.#socket.send(JSON.stringify(message));
  }

  /** More may come after a pause, of what was read from the socket already. */
  #keepPace(spent: Spent): void {
    const verdict = this.#pace?.spend(spent, performance.now()) ?? 0;
    if (verdict === 'cut') return this.close(closeCodes.policy, 'too many messages for too long');
    if (verdict === 0) return undefined;
    clearTimeout(this.#rest);
    this.#socket.pause();
    this.#rest = setTimeout(() => this.#socket.resume(), verdict);
    return undefined;
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#own = { code, reason: clipReason(reason) };
    // A paused socket would never see the other side's close.
    clearTimeout(this.#rest);
    this.#socket.resume();
    this.#socket.close(code, this.#own.reason);
    // A peer that does not answer the close must not hold the socket.
    setTimeout(() => this.#socket.terminate(), 2000).unref();
  }

  /** Cuts the connection without a word: the other side is taken for gone. */
  terminate(): void {
    this.#socket.terminate();
  }
}

function lengthOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, { length }) => sum + length, 0) : data.byteLength;
}

export function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/** RFC 6455: a close reason has at most 123 bytes of UTF-8. */
export function clipReason(reason: string): string {
  return Buffer.from(reason)
    .subarray(0, 123)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}

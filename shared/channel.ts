/** Typed messages over one WebSocket: decodes, bounds what waits to be sent, and closes on the first bad frame. */
import type { RawData, WebSocket } from 'ws';
import { messageOf } from './errors.ts';
import { closeCodes, limits } from './messages.ts';

export interface ChannelHandlers<In> {
  decode(frame: Buffer): In;
  message(message: In): void;
  /** Any byte of the other side, also pings. */
  heard?(): void;
  /** Once, with the code and reason of whoever closed first. */
  closed(code: number, reason: string): void;
}

export class Channel<In, Out> {
  readonly #socket: WebSocket;
  #open = true;
  /** How this side closed it: the other side may never answer, and its silence is not the reason. */
  #own: { readonly code: number; readonly reason: string } | undefined;

  constructor(socket: WebSocket, handlers: ChannelHandlers<In>) {
    this.#socket = socket;
    socket.on('message', (data: RawData, binary: boolean) => {
      if (!this.#open) return;
      handlers.heard?.();
      if (binary) return this.close(closeCodes.malformed, 'binary frame on the control connection');
      let message: In;
      try {
        message = handlers.decode(toBuffer(data));
      } catch (error) {
        return this.close(closeCodes.malformed, messageOf(error));
      }
      return handlers.message(message);
    });
    socket.on('ping', () => handlers.heard?.());
    socket.on('pong', () => handlers.heard?.());
    // Errors of a socket are always followed by its close.
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      this.#open = false;
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

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#own = { code, reason: clipReason(reason) };
    this.#socket.close(code, this.#own.reason);
    // A peer that does not answer the close must not hold the socket.
    setTimeout(() => this.#socket.terminate(), 2000).unref();
  }

  /** Cuts the connection without a word: the other side is taken for gone. */
  terminate(): void {
    this.#socket.terminate();
  }
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

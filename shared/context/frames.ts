/** A WebSocket as frames with backpressure both ways: reading pauses it, and writing waits for what is under way. */
import type { RawData, WebSocket } from 'ws';
import { clipReason, toBuffer } from '../channel.ts';
import { ArchfarmError } from '../errors.ts';
import { Wakeup } from './wakeup.ts';

/** What a transfer needs of a socket. */
export type TransferSocket = Pick<
  WebSocket,
  'on' | 'off' | 'send' | 'close' | 'terminate' | 'pause' | 'resume' | 'readyState' | 'OPEN'
>;

export interface Frame {
  readonly binary: boolean;
  readonly content: Buffer;
}

/** Close codes of RFC 6455, and one of ours, which begin at 4000. */
export const goingAway = 1001;
export const internalError = 1011;
export const malformedFrame = 4400;

/** Bytes that may wait, in each direction. */
const maxWaitingBytes = 1024 * 1024;
/** Of a frame beside its content: many empty ones take memory, too. */
const frameBytes = 256;
/** A peer that does not answer a close must not hold the socket. Milliseconds. */
const closePatience = 2000;

export class Frames {
  readonly #socket: TransferSocket;
  readonly #changed = new Wakeup();
  readonly #received: Frame[] = [];
  #receivedBytes = 0;
  #sendingBytes = 0;
  #closed: string | undefined;
  readonly #listeners;

  constructor(socket: TransferSocket) {
    this.#socket = socket;
    this.#listeners = {
      message: (data: RawData, binary: boolean): void => this.#receive(data, binary),
      close: (code: number, reason: Buffer): void => this.#close(`${code} ${reason.toString('utf8')}`.trim()),
      // The close that follows is what counts.
      error: (): void => {},
    };
    socket.on('message', this.#listeners.message);
    socket.on('close', this.#listeners.close);
    socket.on('error', this.#listeners.error);
    if (socket.readyState !== socket.OPEN) this.#closed = 'not open';
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Ends when the socket has closed and all that came before was read. */
  async *receive(signal: AbortSignal): AsyncGenerator<Frame> {
    for (;;) {
      const frame = this.#received.shift();
      if (frame !== undefined) {
        this.#receivedBytes -= frame.content.length + frameBytes;
        if (this.#receivedBytes < maxWaitingBytes / 2) this.#socket.resume();
        yield frame;
      } else if (this.#closed !== undefined) {
        return;
      } else {
        await this.#changed.wait(signal);
      }
    }
  }

  /** Resolves when it is under way; `onSent` hears when the bytes are needed no more. Throws `client-gone` once the socket is closed. */
  async send(content: Buffer | string, signal: AbortSignal, onSent?: () => void): Promise<void> {
    while (this.#closed === undefined && this.#sendingBytes > maxWaitingBytes)
      await this.#changed.wait(signal);
    if (this.#closed !== undefined) {
      throw new ArchfarmError('client-gone', `the connection for contexts closed (${this.#closed})`);
    }
    this.#post(content, onSent);
  }

  /** Sends without waiting for room: for what is small and bounded by answers. Lost on a closed socket. */
  post(content: string): void {
    if (this.#closed === undefined) this.#post(content);
  }

  #post(content: Buffer | string, onSent?: () => void): void {
    const bytes = content.length;
    this.#sendingBytes += bytes;
    this.#socket.send(content, { binary: typeof content !== 'string' }, () => {
      this.#sendingBytes -= bytes;
      onSent?.();
      this.#changed.wake();
    });
  }

  /** Stops listening; with a code, closes the socket too. */
  release(close?: { readonly code: number; readonly reason: string }): void {
    this.#socket.off('message', this.#listeners.message);
    this.#socket.off('close', this.#listeners.close);
    // A paused socket would never see the other side's close.
    this.#socket.resume();
    if (close === undefined || this.#closed !== undefined) return;
    this.#socket.close(close.code, clipReason(close.reason));
    setTimeout(() => this.#socket.terminate(), closePatience).unref();
  }

  #receive(data: RawData, binary: boolean): void {
    const content = toBuffer(data);
    this.#received.push({ binary, content });
    this.#receivedBytes += content.length + frameBytes;
    if (this.#receivedBytes > maxWaitingBytes) this.#socket.pause();
    this.#changed.wake();
  }

  #close(reason: string): void {
    this.#closed = reason;
    this.#changed.wake();
  }
}

/**
 * Progress of one attempt on its way to the coordinator: batched, numbered, kept until acknowledged and sent
 * again after a reconnect. It holds a bounded number of bytes; beyond that log output is left out, and says so.
 */
import { limits } from '../shared/messages.ts';
import type { TaskEvent } from '../shared/progress.ts';
import type { Timers } from '../shared/timers.ts';

interface Batch {
  readonly frame: number;
  readonly events: readonly TaskEvent[];
  readonly bytes: number;
}

export interface OutboxOptions {
  readonly timers: Pick<Timers, 'progress'>;
  send(frame: number, events: readonly TaskEvent[]): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #unacknowledged: Batch[] = [];
  #held = 0;
  #waiting: TaskEvent[] = [];
  #waitingBytes = 0;
  #lastFrame = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** The number of the newest frame; 0 before the first. */
  get lastFrame(): number {
    return this.#lastFrame;
  }

  push(event: TaskEvent): void {
    const bytes = JSON.stringify(event).length;
    if (this.#held + this.#waitingBytes + bytes > limits.unacknowledged) {
      // How far a layer or the context came is told again, by what comes later.
      if (event.type === 'push' || event.type === 'context') return;
      if (event.type === 'log') {
        this.#dropped += bytes;
        return;
      }
    }
    this.#noteDropped(event.time);
    // A frame that holds one more event must still fit into a message.
    if (this.#waitingBytes + bytes > limits.progress) this.flush();
    this.#waiting.push(event);
    this.#waitingBytes += bytes;
    this.#timer ??= setTimeout(() => this.flush(), this.#options.timers.progress);
  }

  /** Sends what waits, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const batch = { frame: ++this.#lastFrame, events: this.#waiting, bytes: this.#waitingBytes };
    this.#unacknowledged.push(batch);
    this.#held += batch.bytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#options.send(batch.frame, batch.events);
  }

  acknowledge(frame: number): void {
    while (this.#unacknowledged[0] !== undefined && this.#unacknowledged[0].frame <= frame) {
      this.#held -= this.#unacknowledged.shift()?.bytes ?? 0;
    }
  }

  /** After a reconnect: everything that the coordinator may not have. */
  resend(): void {
    for (const { frame, events } of this.#unacknowledged) this.#options.send(frame, events);
  }

  /** Sends the rest; nothing may be pushed afterwards. */
  end(time: number): void {
    this.#noteDropped(time);
    this.flush();
  }

  #noteDropped(time: number): void {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} bytes of output were left out: the coordinator did not take them in time`;
    this.#dropped = 0;
    this.#waiting.push({ type: 'warning', time, message });
    this.#timer ??= setTimeout(() => this.flush(), this.#options.timers.progress);
  }
}

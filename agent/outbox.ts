/**
 * Progress of one attempt on its way to the coordinator: batched, numbered, sent as fast as it is acknowledged and
 * again after a reconnect. It holds a bounded number of bytes; beyond that log output is left out, and says so.
 */
import { clipText } from '../shared/errors.ts';
import { limits } from '../shared/messages.ts';
import type { TaskEvent } from '../shared/progress.ts';
import type { Timers } from '../shared/timers.ts';

interface Batch {
  readonly frame: number;
  readonly events: readonly TaskEvent[];
  readonly bytes: number;
}

/** Runs it after so many milliseconds, unless what is returned is called before. */
export type Later = (run: () => void, milliseconds: number) => () => void;

export interface OutboxOptions {
  readonly timers: Pick<Timers, 'progress'>;
  /** By default the process's own timers. */
  readonly later?: Later;
  readonly send: (frame: number, events: readonly TaskEvent[]) => void;
  /** All that there was has been sent after `end`; once more after each reconnect. */
  readonly ended?: () => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #unacknowledged: Batch[] = [];
  /** How many of those were sent on this connection, and their bytes. */
  #sent = 0;
  #sentBytes = 0;
  #held = 0;
  #waiting: TaskEvent[] = [];
  #waitingBytes = 0;
  #lastFrame = 0;
  #dropped = 0;
  /** Calls off the flush that is due. */
  #callOff: (() => void) | undefined;
  #ended = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** The number of the newest frame; 0 before the first. */
  get lastFrame(): number {
    return this.#lastFrame;
  }

  push(given: TaskEvent): void {
    const event = clipped(given);
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
    this.#flushSoon();
  }

  /** Sends what waits, now. */
  flush(): void {
    this.#callOff?.();
    this.#callOff = undefined;
    if (this.#waiting.length === 0) return;
    const batch = { frame: ++this.#lastFrame, events: this.#waiting, bytes: this.#waitingBytes };
    this.#unacknowledged.push(batch);
    this.#held += batch.bytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#pump();
  }

  acknowledge(frame: number): void {
    for (;;) {
      const [first] = this.#unacknowledged;
      if (first === undefined || first.frame > frame) break;
      this.#unacknowledged.shift();
      this.#held -= first.bytes;
      if (this.#sent === 0) continue;
      this.#sent -= 1;
      this.#sentBytes -= first.bytes;
    }
    this.#pump();
  }

  /** After a reconnect: everything that the coordinator may not have. */
  resend(): void {
    this.#sent = 0;
    this.#sentBytes = 0;
    this.#pump();
  }

  /** Makes a last frame of what waits. */
  close(time: number): void {
    this.#noteDropped(time);
    this.flush();
  }

  /** Nothing comes after what was pushed. */
  end(): void {
    this.#ended = true;
    this.#pump();
  }

  #pump(): void {
    while (this.#sentBytes < limits.window) {
      const batch = this.#unacknowledged[this.#sent];
      if (batch === undefined) break;
      this.#sent += 1;
      this.#sentBytes += batch.bytes;
      this.#options.send(batch.frame, batch.events);
    }
    if (this.#ended && this.#sent === this.#unacknowledged.length) this.#options.ended?.();
  }

  #noteDropped(time: number): void {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} bytes of output were left out: the coordinator did not take them in time`;
    this.#dropped = 0;
    this.#waiting.push({ type: 'warning', time, message });
    this.#flushSoon();
  }

  #flushSoon(): void {
    const { later = onTimer, timers } = this.#options;
    this.#callOff ??= later(() => this.flush(), timers.progress);
  }
}

function onTimer(run: () => void, milliseconds: number): () => void {
  const timer = setTimeout(run, milliseconds);
  return () => clearTimeout(timer);
}

/** Names and errors of steps may be of any length; those of a message are not. */
function clipped(event: TaskEvent): TaskEvent {
  const entries = Object.entries(event).map(([key, value]: [string, unknown]) => [
    key,
    typeof value === 'string' ? clipText(value) : value,
  ]);
  return { ...event, ...Object.fromEntries(entries) };
}

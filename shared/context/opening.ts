/**
 * Which of the wanted items are open. One that is may be in memory until it was sent, so that what goes beyond a bound
 * waits for its turn; urgent ones come first.
 */
import { Queue, type Queued } from './queue.ts';

/** Bytes that may be open, by four times what a receiver has asked for at a time: that is opened at once. */
const maxOpenBytes = 16 * 1024 * 1024;
/** The same for what is not urgent: where it is slow to come, it leaves room for what is. */
const maxLaterBytes = 12 * 1024 * 1024;

export interface Openable<T extends Openable<T>> extends Queued<T> {
  readonly urgent: boolean;
  /** What it may take in memory, as far as one knows. */
  bytes: number;
}

export class Opening<T extends Openable<T>> {
  readonly #open: (item: T) => void;
  readonly #urgent = new Queue<T>();
  readonly #later = new Queue<T>();
  #openBytes = 0;

  /** `open` is called once for each item that is added, now or later. */
  constructor(open: (item: T) => void) {
    this.#open = open;
  }

  add(item: T): void {
    (item.urgent ? this.#urgent : this.#later).push(item);
    this.#openMore();
  }

  /** One that is open takes so many bytes; 0 once it was sent. */
  takes(item: T, bytes: number): void {
    this.#openBytes += bytes - item.bytes;
    item.bytes = bytes;
    this.#openMore();
  }

  #openMore(): void {
    for (;;) {
      const item = this.#urgent.first ?? this.#later.first;
      if (item === undefined) return;
      const most = item.urgent ? maxOpenBytes : maxLaterBytes;
      // One that is larger than all of it is open alone.
      if (this.#openBytes > 0 && this.#openBytes + item.bytes > most) return;
      item.queue?.remove(item);
      this.#openBytes += item.bytes;
      this.#open(item);
    }
  }
}

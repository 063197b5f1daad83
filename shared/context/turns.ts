/** Long work that waits for nothing lets the event loop go on in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds for which it may keep all else of its process waiting. */
const busyMilliseconds = 5;

export class Turns {
  readonly #signal: AbortSignal;
  #since = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** To be asked often: a promise for each entry of a tree shows where there are 100,000. */
  get isOver(): boolean {
    return performance.now() - this.#since >= busyMilliseconds;
  }

  /** Rejects with the reason of the signal once that is aborted. */
  async next(): Promise<void> {
    await nextTurn();
    this.#signal.throwIfAborted();
    this.#since = performance.now();
  }
}

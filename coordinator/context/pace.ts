/**
 * How files are asked for. What the system holds in memory it gives at once: to call it directly takes a third of what
 * the thread pool does. Where calls have to wait, for a disk or a network, many of them wait at a time in the pool.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds of a call that did not have to wait, generously. */
const promptMilliseconds = 0.1;
/** Milliseconds by which calls may fall behind that: the odd one may have had to wait for a processor. */
const patience = 50;
/** Calls that go to the pool before others are tried directly; doubled each time. */
const pooledCalls = 1000;
/** Milliseconds for which a thread may keep all else of its process waiting. */
const busyMilliseconds = 20;

export class Pace {
  #behind = 0;
  #toPool: number;
  #pooledNext = pooledCalls;
  #lastTurn = performance.now();

  /** With `pooled`, for good. */
  constructor({ pooled = false }: { readonly pooled?: boolean } = {}) {
    this.#toPool = pooled ? Infinity : 0;
  }

  get isDirect(): boolean {
    return this.#toPool === 0;
  }

  /** To be told of all calls; of those that were direct, how long they took. */
  made(calls: number, milliseconds = 0): void {
    if (this.#toPool > 0) {
      this.#toPool = Math.max(this.#toPool - calls, 0);
      return;
    }
    this.#behind = Math.max(this.#behind + milliseconds - calls * promptMilliseconds, 0);
    if (this.#behind < patience) return;
    this.#behind = 0;
    this.#toPool = this.#pooledNext;
    this.#pooledNext *= 2;
  }

  /** Lets the rest of the process have its turn, if it has waited for long. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#lastTurn < busyMilliseconds) return;
    await nextTurn();
    this.#lastTurn = performance.now();
  }
}

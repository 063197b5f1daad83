/**
 * Something that happens once, or fails, with those who wait for it: each until its own signal aborts. A great many of
 * these may be waited for at once, so that every object counts: there is one for each who waits.
 */
import { offAbort, onAbort, reasonOf, type AbortListener } from '../abort.ts';

type Settled<T> = { readonly value: T } | { readonly error: unknown };

export class Outcome<T> {
  #waiters: Waiter<T>[] | undefined;
  #settled: Settled<T> | undefined;

  get hasWaiters(): boolean {
    return this.#waiters !== undefined;
  }

  get isSettled(): boolean {
    return this.#settled !== undefined;
  }

  /** Tells the waiter, which rejects with the signal's reason when that aborts first. */
  tell(waiter: Waiter<T>): void {
    if (this.#settled !== undefined) return waiter.settle(this.#settled);
    if (!waiter.begin(this)) return;
    if (this.#waiters === undefined) this.#waiters = [waiter];
    else this.#waiters.push(waiter);
  }

  /** Without this one. */
  forget(waiter: Waiter<T>): void {
    const others = this.#waiters?.filter((each) => each !== waiter) ?? [];
    this.#waiters = others.length === 0 ? undefined : others;
  }

  resolve(value: T): void {
    this.#settle({ value });
  }

  reject(error: unknown): void {
    this.#settle({ error });
  }

  /** The first outcome counts. */
  #settle(settled: Settled<T>): void {
    if (this.#settled !== undefined) return;
    this.#settled = settled;
    const waiters = this.#waiters ?? [];
    this.#waiters = undefined;
    for (const waiter of waiters) waiter.settle(settled);
  }
}

/** The two ends of a promise. */
export interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Waiter<T> implements AbortListener {
  readonly #resolve: Waiting<T>['resolve'];
  readonly #reject: Waiting<T>['reject'];
  readonly #signal: AbortSignal;
  readonly #onAborted: AbortListener;
  #outcome: Outcome<T> | undefined;

  /** The listener hears when this waiter has given up. */
  constructor({ resolve, reject }: Waiting<T>, signal: AbortSignal, onAborted: AbortListener) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#onAborted = onAborted;
  }

  /** Whether there is anything to wait for. */
  begin(outcome: Outcome<T>): boolean {
    if (this.#signal.aborted) {
      this.#reject(reasonOf(this.#signal));
      return false;
    }
    this.#outcome = outcome;
    onAbort(this.#signal, this);
    return true;
  }

  aborted(): void {
    this.#outcome?.forget(this);
    this.#reject(reasonOf(this.#signal));
    this.#onAborted.aborted();
  }

  settle(settled: Settled<T>): void {
    offAbort(this.#signal, this);
    if ('value' in settled) this.#resolve(settled.value);
    else this.#reject(settled.error);
  }
}

/** Waiting that ends when a signal does, and leaves no listener behind. */

/** Resolves after `milliseconds`; rejects with the signal's reason when it aborts first. */
export function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal));
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', aborted, { once: true });
    function done(): void {
      signal.removeEventListener('abort', aborted);
      resolve();
    }
    function aborted(): void {
      clearTimeout(timer);
      reject(reasonOf(signal));
    }
  });
}

/** The promise's outcome, or the signal's reason when it aborts first. The work itself is not stopped by this. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // No race: thousands of files are waited for, and a second promise and its abort for each cost more than the file.
  return new Promise((resolve, reject) => {
    const listener = { aborted: () => reject(reasonOf(signal)) };
    promise.then(
      (value) => {
        offAbort(signal, listener);
        resolve(value);
      },
      (error: unknown) => {
        offAbort(signal, listener);
        reject(error);
      },
    );
    if (signal.aborted) listener.aborted();
    else onAbort(signal, listener);
  });
}

/**
 * What becomes of the work, which is given a signal of its own: that aborts with the given one, and with what `late` says
 * when the time is over. Work that fails after that fails with the signal's reason.
 */
export async function within<T>(
  milliseconds: number,
  { signal, late }: { readonly signal: AbortSignal; readonly late: () => Error },
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  // No AbortSignal.any over a timeout: Node 20 may collect what it is made of before that fires.
  using limited = new ChildAbort(signal);
  const timer = setTimeout(() => limited.abort(late()), milliseconds);
  try {
    return await work(limited.signal);
  } catch (error) {
    throw limited.signal.aborted ? reasonOf(limited.signal) : error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Aborts by itself and, until it is disposed of, with the first of its parents. For parents that outlive it: in Node 20 they
 * keep something of every signal that `AbortSignal.any` makes of them, and of what is made of that.
 */
export class ChildAbort extends AbortController implements Disposable {
  readonly #parents: readonly AbortSignal[];
  readonly #listener: AbortListener = { aborted: () => this.#follow() };

  constructor(...parents: readonly AbortSignal[]) {
    super();
    this.#parents = parents;
    this.#follow();
    if (!this.signal.aborted) for (const parent of parents) onAbort(parent, this.#listener);
  }

  #follow(): void {
    const aborted = this.#parents.find((parent) => parent.aborted);
    if (aborted === undefined) return;
    this[Symbol.dispose]();
    this.abort(aborted.reason);
  }

  [Symbol.dispose](): void {
    for (const parent of this.#parents) offAbort(parent, this.#listener);
  }
}

/** Aborts with the other signal, `milliseconds` later: for work that an interruption is not to leave half done. */
export class LaterAbort extends AbortController implements Disposable {
  readonly #other: AbortSignal;
  readonly #milliseconds: number;
  readonly #listener: AbortListener = { aborted: () => this.#wait() };
  #timer: NodeJS.Timeout | undefined;

  constructor(other: AbortSignal, milliseconds: number) {
    super();
    this.#other = other;
    this.#milliseconds = milliseconds;
    if (other.aborted) this.#wait();
    else onAbort(other, this.#listener);
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.abort(this.#other.reason), this.#milliseconds);
  }

  [Symbol.dispose](): void {
    offAbort(this.#other, this.#listener);
    clearTimeout(this.#timer);
  }
}

export interface AbortListener {
  aborted(): void;
}

interface Listeners {
  readonly all: Set<AbortListener>;
  readonly onAbort: () => void;
}

/** A signal goes through all of its listeners whenever one comes or goes, so that many who wait share one. */
const listeners = new WeakMap<AbortSignal, Listeners>();

/** Tells when the signal aborts, which it has not yet, unless `offAbort` takes that back. */
export function onAbort(signal: AbortSignal, listener: AbortListener): void {
  const known = listeners.get(signal);
  if (known !== undefined) {
    known.all.add(listener);
    return;
  }
  const all = new Set([listener]);
  const onAbort = (): void => {
    listeners.delete(signal);
    for (const each of all) each.aborted();
  };
  listeners.set(signal, { all, onAbort });
  signal.addEventListener('abort', onAbort, { once: true });
}

export function offAbort(signal: AbortSignal, listener: AbortListener): void {
  const known = listeners.get(signal);
  if (known?.all.delete(listener) !== true || known.all.size > 0) return;
  listeners.delete(signal);
  signal.removeEventListener('abort', known.onAbort);
}

/** What an aborted signal gives as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}

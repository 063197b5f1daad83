/** Waiting that ends when a signal does, and leaves no listener behind. */
import { once } from 'node:events';

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
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Nobody waits for it any more, but its failure must have an owner.
    promise.catch(() => {});
    throw reasonOf(signal);
  }
  const stop = new AbortController();
  const aborted = once(signal, 'abort', { signal: stop.signal }).then(() => {
    throw reasonOf(signal);
  });
  // Settled by `stop` when the work was first; that rejection is nobody's news.
  aborted.catch(() => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stop.abort();
  }
}

/** What an aborted signal gives as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}

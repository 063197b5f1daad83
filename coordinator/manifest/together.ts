/** Work side by side that fails as one. */
import { setMaxListeners } from 'node:events';

/** The first failure stops the rest, and when this returns or throws nothing runs on. Results keep the order of `items`. */
export async function together<T, R>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): Promise<R[]> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  // An image may have more layers than the ten listeners at which Node suspects a leak.
  setMaxListeners(0, either);
  let failure: { readonly reason: unknown } | undefined;
  const outcomes = await Promise.allSettled(
    items.map(async (item) => {
      try {
        return await work(item, either);
      } catch (reason) {
        failure ??= { reason };
        stop.abort();
        throw reason;
      }
    }),
  );
  if (failure !== undefined) throw failure.reason;
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}

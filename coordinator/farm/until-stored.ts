/** An outcome that others wait for is stored in the end, whatever is in the way of it for a while. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Timers } from '../../shared/timers.ts';

/** It is stored, and the state machine could make nothing of it: another try would come to the same. */
export class NotApplied extends Error {}

export interface Storing {
  readonly timers: Pick<Timers, 'store' | 'storeMax'>;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** For the log. */
  readonly about: object;
}

/** Tries until it is stored; rejects with the signal's reason, as what is not stored is begun again at the next start. */
export async function untilStored(
  store: () => Promise<void>,
  { timers, signal, log, about }: Storing,
): Promise<void> {
  const pauses = new Backoff({ first: timers.store, max: timers.storeMax });
  let said: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await store();
    } catch (thrown) {
      if (thrown instanceof NotApplied) throw thrown;
      const message = messageOf(thrown);
      // A full disk says the same each time.
      if (message !== said && !signal.aborted)
        log.error({ ...about, err: thrown }, 'an outcome could not be stored; trying again');
      said = message;
    }
    await delay(pauses.next(), signal);
  }
}

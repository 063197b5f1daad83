/** Trying again what a registry could not do just now. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { RegistryError } from './registry-error.ts';
import type { RegistryTiming } from './timing.ts';

/** `attempt` must be safe to repeat: it starts over each time. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { timing, signal, onRetry }: { timing: RegistryTiming; signal: AbortSignal; onRetry: () => void },
): Promise<T> {
  const backoff = new Backoff({ first: timing.firstPause, max: timing.maxPause });
  for (let number = 1; ; number++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RegistryError) || !error.temporary || number >= timing.tries) throw error;
      const asked = Math.min(error.retryAfter ?? 0, timing.maxRetryAfter);
      await delay(Math.max(asked, backoff.next()), signal);
      onRetry();
    }
  }
}

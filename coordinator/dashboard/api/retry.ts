/** Asking again, after pauses, whoever did not answer or could not. */
import { RequestError } from './request.ts';

const firstPause = 500;
const longestPause = 10_000;

/** Pauses that double, with jitter, until something has worked. */
export class Pauses {
  #next = firstPause;

  worked(): void {
    this.#next = firstPause;
  }

  /** Resolves after the next one, or once the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const milliseconds = this.#next * (0.5 + Math.random() / 2);
    this.#next = Math.min(longestPause, this.#next * 2);
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener('abort', done);
    });
  }
}

/** Whether asking again is of no use: a proxy's 502 or an error of the coordinator's own passes. */
export function isRefusal(error: unknown): error is RequestError {
  if (!(error instanceof RequestError)) return false;
  const { status = 0 } = error;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

export interface Asking {
  readonly signal: AbortSignal;
  /** It will be asked again. */
  readonly waiting?: ((error: RequestError) => void) | undefined;
}

/** The answer; undefined where the signal aborts. Throws RequestError where it is refused. */
export async function askUntilAnswered<Answer>(
  ask: () => Promise<Answer>,
  { signal, waiting }: Asking,
): Promise<Answer | undefined> {
  const pauses = new Pauses();
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (isRefusal(error) || !(error instanceof RequestError)) throw error;
      waiting?.(error);
    }
    await pauses.wait(signal);
  }
  return undefined;
}

/** Lets any number of waiters sleep until something changed; they look again for themselves. */
import { reasonOf } from '../abort.ts';

export class Wakeup {
  readonly #waiting = new Set<() => void>();

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }

  /** Resolves at the next `wake`; rejects with the signal's reason. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(reasonOf(signal));
      const resume = (): void => {
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#waiting.delete(resume);
        reject(reasonOf(signal));
      };
      this.#waiting.add(resume);
      signal.addEventListener('abort', aborted, { once: true });
    });
  }
}

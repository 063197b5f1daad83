/** Lets any number of waiters sleep until something changed; they look again for themselves. */
import { offAbort, onAbort, reasonOf } from '../abort.ts';

export class Wakeup {
  readonly #waiting = new Set<() => void>();

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }

  /** Resolves at the next `wake`; rejects with the signal's reason. Without one, the next `wake` must be certain to come. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal === undefined) return void this.#waiting.add(resolve);
      if (signal.aborted) return reject(reasonOf(signal));
      const resume = (): void => {
        offAbort(signal, listener);
        resolve();
      };
      const listener = {
        aborted: (): void => {
          this.#waiting.delete(resume);
          reject(reasonOf(signal));
        },
      };
      this.#waiting.add(resume);
      onAbort(signal, listener);
      return undefined;
    });
  }
}

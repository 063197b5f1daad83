/** Runs jobs as they come, a bounded number at a time. */

export interface WorkPoolOptions {
  readonly limit: number;
  /** Hears of each job that failed. Jobs that wait are still started: stop them by their own signal. */
  readonly onFailure: (error: unknown) => void;
}

export class WorkPool {
  readonly #limit: number;
  readonly #onFailure: (error: unknown) => void;
  /** A set keeps its order, and gives up its first at once however long it is. */
  readonly #waiting = new Set<() => Promise<void>>();
  readonly #running = new Set<Promise<void>>();

  constructor({ limit, onFailure }: WorkPoolOptions) {
    this.#limit = limit;
    this.#onFailure = onFailure;
  }

  add(job: () => Promise<void>): void {
    this.#waiting.add(job);
    this.#start();
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #start(): void {
    for (const job of this.#waiting) {
      if (this.#running.size >= this.#limit) return;
      this.#waiting.delete(job);
      const running = job()
        .catch(this.#onFailure)
        .finally(() => {
          this.#running.delete(running);
          this.#start();
        });
      this.#running.add(running);
    }
  }
}

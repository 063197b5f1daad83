/** Runs jobs in the order they come, as many at a time as two bounds allow. */
import { Deferred } from '../../shared/context/deferred.ts';

export interface WorkPoolOptions<Job> {
  /** Jobs at once. */
  readonly limit: number;
  /** What those that run weigh together at most; one that is heavier runs alone. */
  readonly maxWeight: number;
  readonly weigh: (job: Job) => number;
  readonly run: (job: Job) => Promise<void>;
  /** Hears of each job that failed. No further one is started then. */
  readonly onFailure: (error: unknown) => void;
}

export class WorkPool<Job> {
  readonly #options: WorkPoolOptions<Job>;
  /** From `#next` on; jobs may be numbers, of which a list keeps hundreds of thousands in little memory. */
  #waiting: Job[] = [];
  #next = 0;
  #running = 0;
  #weight = 0;
  #failed = false;
  #idle: Deferred<void> | undefined;

  constructor(options: WorkPoolOptions<Job>) {
    this.#options = options;
  }

  add(job: Job): void {
    this.#waiting.push(job);
    this.#start();
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    if (this.#running === 0) return;
    this.#idle ??= new Deferred();
    await this.#idle.promise;
  }

  #start(): void {
    const { limit, maxWeight, weigh } = this.#options;
    while (this.#next < this.#waiting.length && !this.#failed && this.#running < limit) {
      const job = this.#waiting[this.#next]!;
      const weight = weigh(job);
      if (this.#running > 0 && this.#weight + weight > maxWeight) return;
      this.#next += 1;
      void this.#run(job, weight);
    }
    // Cut now and then: cutting off each would move all that wait each time.
    if (this.#next * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }

  async #run(job: Job, weight: number): Promise<void> {
    this.#running += 1;
    this.#weight += weight;
    try {
      await this.#options.run(job);
    } catch (error) {
      this.#failed = true;
      this.#options.onFailure(error);
    }
    this.#running -= 1;
    this.#weight -= weight;
    this.#start();
    if (this.#running > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

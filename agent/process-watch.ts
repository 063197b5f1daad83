/** What this process takes of its host. */
import { watchEventLoop } from '../shared/event-loop-lag.ts';
import type { ProcessUsage } from '../shared/process-usage.ts';

/** Milliseconds between looks at the event loop: an idle agent is to stay idle. */
const interval = 1000;

export class ProcessWatch implements Disposable {
  readonly #watch = watchEventLoop(interval, (late) => (this.#lag = Math.max(this.#lag, late)));
  #lag = 0;

  /** With the greatest lag since this was asked last. */
  take(): ProcessUsage {
    const { user, system } = process.cpuUsage();
    const lag = this.#lag;
    this.#lag = 0;
    return { memory: process.memoryUsage.rss(), cpu: (user + system) / 1000, lag };
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}

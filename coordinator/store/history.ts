/**
 * What goes from history: ended builds beyond a number or an age, and the oldest logs beyond a size. A log goes
 * before its build, so that whatever interrupts this leaves nothing that no build leads to.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { firstIdAt } from '../farm/build-id.ts';
import type { FrameLog } from './frames.ts';
import type { Store } from './store.ts';

export interface HistoryBounds {
  /** The newest builds, those that go on included; at least 1. */
  readonly builds: number;
  /** Milliseconds since a build was submitted; may be infinite. */
  readonly age: number;
  /** Bytes of logs; may be infinite. */
  readonly logs: number;
}

const day = 24 * 3_600_000;

export const defaultHistory: HistoryBounds = { builds: 100_000, age: 180 * day, logs: 10 * 1024 ** 3 };

export interface HistoryOptions {
  readonly store: Store;
  readonly frames: FrameLog;
  readonly bounds: HistoryBounds;
  /** Milliseconds since 1970, by a clock that nobody sets. */
  readonly now: () => number;
}

/** Builds in one transaction: nobody else is served meanwhile. */
const batchSize = 25;

export class History {
  readonly #options: HistoryOptions;
  readonly #stop = new AbortController();
  #sweep: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /** Sweeps now and every `interval` milliseconds; `trouble` hears what failed, and the next sweep tries again. */
  start(interval: number, trouble: (thrown: unknown) => void): void {
    const sweep = (): void => {
      this.#sweep ??= this.sweep()
        .catch(trouble)
        .finally(() => (this.#sweep = undefined));
    };
    this.#timer = setInterval(sweep, interval).unref();
    sweep();
  }

  /** Never touches a build that goes on. */
  async sweep(): Promise<void> {
    await this.#dropBuilds();
    await this.#dropLogs();
  }

  /** Ends between two steps of a sweep that is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#sweep;
  }

  async #dropBuilds(): Promise<void> {
    const { store, frames, bounds, now } = this.#options;
    const before = firstIdAt(now() - bounds.age);
    while (!this.#stop.signal.aborted) {
      const ids = await store.expired({ keep: bounds.builds, before, limit: batchSize });
      if (ids.length === 0) return;
      for (const id of ids) await frames.remove(id);
      await store.forget(ids);
      await nextTurn();
    }
  }

  async #dropLogs(): Promise<void> {
    const { store, frames, bounds } = this.#options;
    if (bounds.logs === Infinity) return;
    let bytes = 0;
    for await (const { build, size } of frames.newestFirst()) {
      if (this.#stop.signal.aborted) return;
      bytes += size;
      // Only what is archived is written to no more.
      if (bytes > bounds.logs && (await store.build(build)) !== undefined) {
        await frames.remove(build);
        bytes -= size;
      }
    }
  }
}

/** Lets one task at a time work under a key. */
import { reasonOf, untilAborted } from '../../shared/abort.ts';

export class KeyedLock {
  /** The last work of each key, settled or not; resolves when it has ended. */
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` when all earlier work under this key has ended, unless the signal aborts before. */
  run<T>(key: string, { signal, work }: { signal: AbortSignal; work: () => Promise<T> }): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const turn = before.then(() => {
      if (signal.aborted) throw reasonOf(signal);
      return work();
    });
    // The next one waits for the work itself, also when nobody waits for its outcome any more.
    const ended = turn.then(forget, forget);
    const last = this.#last;
    last.set(key, ended);
    function forget(): void {
      if (last.get(key) === ended) last.delete(key);
    }
    return untilAborted(turn, signal);
  }
}

/** Tries again while the coordinator is away: it restarts, or the line to it is cut. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { ArchfarmError } from '../../shared/errors.ts';

export interface PersistOptions {
  readonly signal: AbortSignal;
  /** The coordinator is away; called once, before the second try. */
  readonly onBreak?: () => void;
  /** Milliseconds of the first pause and of the longest. */
  readonly pause?: { readonly first: number; readonly max: number };
}

/** `request` must be one that may be made twice. Throws what it throws, other than `coordinator-unreachable`. */
export async function persist<T>(request: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { signal, onBreak, pause = { first: 500, max: 10_000 } } = options;
  const backoff = new Backoff(pause);
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ArchfarmError) || error.code !== 'coordinator-unreachable') throw error;
      if (tries === 1) onBreak?.();
      await delay(backoff.next(), signal);
    }
  }
}

/** A build's events to the end, over as many connections as it takes. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Frame } from '../../shared/progress.ts';
import type { Api } from './api.ts';

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Number of the last frame already seen. */
  readonly after?: number;
  /** The connection broke; called once a break, not once a try. */
  readonly onBreak?: (error: unknown) => void;
  /** Runs before each new try: what a restarted coordinator must be given again. Its failures count as the try's. */
  readonly beforeRetry?: () => Promise<void>;
  /** Milliseconds without a connection that holds, until it is hopeless. */
  readonly giveUp?: number;
  /** Milliseconds of the first pause and of the longest. */
  readonly pause?: { readonly first: number; readonly max: number };
}

/** Every frame once and in order, the last being the result. Throws `coordinator-unreachable` when it gives up. */
export async function* followBuild(api: Api, build: string, options: FollowOptions): AsyncGenerator<Frame> {
  const { signal, onBreak, beforeRetry, giveUp = 120_000, pause = { first: 500, max: 10_000 } } = options;
  const backoff = new Backoff(pause);
  let after = options.after ?? 0;
  let brokenSince: number | undefined;
  for (;;) {
    let openSince = Infinity;
    const onOpen = (): void => {
      openSince = performance.now();
    };
    try {
      if (brokenSince !== undefined) await beforeRetry?.();
      for await (const frame of api.frames(build, { after, follow: true, signal, onOpen })) {
        if (frame.seq <= after) continue;
        if (frame.seq !== after + 1) throw broken(`frame ${after + 1} is missing`);
        after = frame.seq;
        brokenSince = undefined;
        backoff.reset();
        yield frame;
        if (frame.type === 'result') return;
      }
      throw broken('the stream ended before the build did');
    } catch (error) {
      if (!(error instanceof ArchfarmError) || error.code !== 'coordinator-unreachable') throw error;
      // A connection that held was a good one, even if the build had nothing to say meanwhile.
      if (performance.now() - openSince >= pause.max) brokenSince = undefined;
      if (brokenSince === undefined) onBreak?.(error);
      brokenSince ??= performance.now();
      if (performance.now() - brokenSince >= giveUp) throw lost(build, error);
      await delay(backoff.next(), signal);
    }
  }
}

function broken(message: string): ArchfarmError {
  return new ArchfarmError('coordinator-unreachable', message);
}

function lost(build: string, cause: ArchfarmError): ArchfarmError {
  return new ArchfarmError(
    'coordinator-unreachable',
    `lost the coordinator while following ${build}: ${cause.message}`,
    {
      cause,
      hint: `the build may go on there; see it with archfarm logs -f ${build}`,
    },
  );
}

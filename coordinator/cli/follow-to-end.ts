/**
 * Follows a build for somebody who may interrupt: the first time cancels the build, whose end is waited for; the
 * second time leaves it to the coordinator as soon as that can do without this client.
 */
import { once } from 'node:events';
import { messageOf } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { FindPlace } from './dockerfile-places.ts';
import type { FarmAccess } from './farm-access.ts';
import { followBuild } from './follow.ts';
import type { Interrupts } from './interrupts.ts';
import { persist } from './persist.ts';
import { FailureReport } from './progress/failure-report.ts';
import { wantsColours, type Renderer } from './progress/renderer.ts';

export interface Following {
  readonly farm: Pick<FarmAccess, 'api' | 'local' | 'failed'>;
  /** Values that a coordinator which restarted is given again, by id. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly renderer: Renderer;
  /** Number of the last event that was seen already. */
  readonly after?: number;
  /** For the report of a failure, where the Dockerfile is at hand. */
  readonly findPlace?: FindPlace;
  readonly interrupts: Pick<Interrupts, 'signal' | 'second'>;
}

/** How it ended, or that it was left to go on. */
export type Followed =
  | { readonly type: 'ended'; readonly result: BuildResult; readonly report: FailureReport }
  | { readonly type: 'left' };

export async function followToEnd(build: string, following: Following): Promise<Followed> {
  const { farm, secrets = {}, renderer, after = 0, findPlace } = following;
  const report = new FailureReport({ colours: wantsColours(process.stderr, process.env), findPlace });
  const ended = new AbortController();
  const left = new AbortController();
  // Nothing is left to follow then, and to wait for a coordinator of our own would be to wait for ourselves.
  farm.failed.catch((error: unknown) => ended.abort(error));
  const interruption = onInterrupts(build, following, { ended: ended.signal, left });
  try {
    const frames = followBuild(farm.api, build, {
      after,
      signal: AbortSignal.any([ended.signal, left.signal]),
      onBreak: () => renderer.note('the coordinator is away; waiting for it'),
      // A coordinator that restarted has forgotten them.
      beforeRetry: async () => {
        if (Object.keys(secrets).length > 0)
          await farm.api.supplySecrets(build, { secrets, signal: ended.signal });
      },
    });
    for await (const frame of frames) {
      renderer.show(frame);
      report.show(frame);
      if (frame.type === 'result') return { type: 'ended', result: frame.result, report };
    }
    throw new Error('unreachable: a followed build ends with its result');
  } catch (error) {
    if (left.signal.aborted) return { type: 'left' };
    throw error;
  } finally {
    ended.abort();
    await interruption;
  }
}

interface Ends {
  readonly ended: AbortSignal;
  readonly left: AbortController;
}

async function onInterrupts(build: string, following: Following, { ended, left }: Ends): Promise<void> {
  const { farm, renderer, interrupts } = following;
  // Without a server there is nobody to leave it to: a second interrupt ends this process.
  const second = farm.local ? undefined : interrupts.second();
  try {
    await aborted(interrupts.signal, ended);
    renderer.note(
      farm.local
        ? 'cancelling; interrupt again to abort'
        : 'cancelling; interrupt again to leave it to the coordinator',
    );
    const cancelling = cancel(build, following, ended);
    if (second !== undefined) {
      await aborted(second, ended);
      renderer.note('leaving it once the coordinator needs nothing from here; interrupt again to abort');
      await persist(() => farm.api.complete(build, ended), { signal: ended });
      left.abort(new Error('left to the coordinator'));
    }
    await cancelling;
  } catch (error) {
    if (!ended.aborted) renderer.note(`it cannot be left: ${messageOf(error)}`);
  }
}

/** Never rejects: a build that cannot be cancelled is still followed. */
async function cancel(build: string, { farm, renderer }: Following, ended: AbortSignal): Promise<void> {
  try {
    await persist(() => farm.api.cancel(build, ended), { signal: ended });
  } catch (error) {
    if (!ended.aborted) renderer.note(`could not cancel: ${messageOf(error)}`);
  }
}

/** Waits for `signal` to abort; rejects when the other one does first. */
async function aborted(signal: AbortSignal, ended: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort', { signal: ended });
}

/** What holds of an agent across its connections: the orders people gave it, and what went wrong there in a row. */
import type { ErrorCode, ErrorInfo } from '../../shared/errors.ts';
import type { Timers } from '../../shared/timers.ts';
import { end, isLong, isPaused, lengthen, newStreak, secondsLeft, type Streak } from './streak.ts';

export interface Standing {
  /** It was told to take no new work. */
  drained: Drain | undefined;
  /** Attempts that failed for reasons of its host: it gets no new work for a while. */
  readonly failures: Streak;
  /** What the last of those failures said. */
  trouble: string;
  /** Offers that it declined or did not answer: it is offered nothing for a while. */
  readonly refusals: Streak;
}

/** Somebody's order to an agent. */
export interface Drain {
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Failures that say nothing of the host: the client, the registry or another part of the farm is to blame. */
const othersFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'agent-lost',
  'blobs-lost',
  'cancelled',
  'client-gone',
  'coordinator-unreachable',
  'policy-refused',
  'registry-denied',
  'registry-error',
  'registry-unreachable',
  'secret-missing',
]);

export function newStanding(drained?: Drain): Standing {
  return { drained, failures: newStreak(), trouble: '', refusals: newStreak() };
}

/** An attempt ended there without an image and without a verdict on the build. */
export function noteFailure(
  standing: Standing,
  error: ErrorInfo,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): void {
  if (othersFaults.has(error.code)) return;
  const pause = { first: timers.cordon, max: timers.cordonMax };
  if (lengthen(standing.failures, { pause, at })) standing.trouble = error.message;
}

/** An offer came to nothing. */
export function noteRefusal(
  { refusals }: Standing,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): void {
  lengthen(refusals, { pause: { first: timers.retry, max: timers.retryMax }, at });
}

/** Its engine can build after all, or somebody says so. */
export function clearFailures({ failures }: Standing): void {
  end(failures);
}

export function clearRefusals({ refusals }: Standing): void {
  end(refusals);
}

/** It is to be offered one thing at a time, until it takes one. */
export function isDoubted({ refusals }: Standing): boolean {
  return isLong(refusals);
}

/** It is to be given one attempt at a time, until one ends well. */
export function isOnTrial({ failures }: Standing): boolean {
  return isLong(failures);
}

/** Whether it is kept once its agent was forgotten. A row of failures is not for ever: some names come only once. */
export function outlivesAgent(
  { drained, failures }: Standing,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): boolean {
  return drained !== undefined || (isLong(failures) && at - failures.pausedUntil <= timers.cordonMax);
}

/** Why it is offered nothing at the moment. Unlike one that is cordoned it is worth the wait of a build. */
export function reluctance({ refusals }: Standing, at: number): string | undefined {
  if (!isPaused(refusals, at)) return undefined;
  return `took none of ${refusals.length} offers in a row, gets another in ${secondsLeft(refusals, at)} s`;
}

/** Since when it gets no new work in spite of what it says of itself; undefined where it may have some. */
export function objectedSince({ drained, failures }: Standing, at: number): number | undefined {
  const pausedAt = isPaused(failures, at) ? failures.pausedAt : Infinity;
  const since = Math.min(drained?.at ?? Infinity, pausedAt);
  return since === Infinity ? undefined : since;
}

/** Why it gets no new work in spite of what it says of itself; undefined where it may have some. */
export function objection(
  standing: Standing,
  at: number,
): { readonly state: 'draining' | 'cordoned'; readonly reason: string } | undefined {
  if (standing.drained !== undefined) {
    return { state: 'draining', reason: `drained by ${standing.drained.by}` };
  }
  const { failures, trouble } = standing;
  if (!isPaused(failures, at)) return undefined;
  return {
    state: 'cordoned',
    reason: `${failures.length} attempts in a row failed here, gets another in ${secondsLeft(failures, at)} s; the last one: ${trouble}`,
  };
}

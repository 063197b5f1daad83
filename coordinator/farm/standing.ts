/** What holds of an agent across its connections: the orders people gave it, and what went wrong there in a row. */
import type { ErrorCode, ErrorInfo } from '../../shared/errors.ts';
import type { Timers } from '../../shared/timers.ts';

export interface Standing {
  /** It was told to take no new work. */
  drained: Drain | undefined;
  /** Attempts in a row that failed for reasons of its host. */
  failures: number;
  /** Until then it gets no new work; milliseconds since 1970. */
  cordonedUntil: number;
  /** What the last of those failures said. */
  trouble: string;
  /** Offers in a row that it declined or did not answer. */
  refusals: number;
  /** Until then it is offered nothing; milliseconds since 1970. */
  askedAgainAt: number;
}

/** Somebody's order to an agent. */
export interface Drain {
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** So many failures in a row are not the builds' fault. */
const maxFailures = 3;
/** So many offers in a row are not taken by chance. */
const maxRefusals = 3;

/** Failures that say nothing of the host: the client, the registry or another part of the farm is to blame. */
const othersFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'agent-lost',
  'blobs-lost',
  'cancelled',
  'client-gone',
  'coordinator-unreachable',
  'registry-denied',
  'registry-error',
  'registry-unreachable',
  'secret-missing',
]);

export function newStanding(drained?: Drain): Standing {
  return { drained, failures: 0, cordonedUntil: 0, trouble: '', refusals: 0, askedAgainAt: 0 };
}

/** An attempt ended there without an image and without a verdict on the build. The pause doubles with each more. */
export function noteFailure(
  standing: Standing,
  error: ErrorInfo,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): void {
  // What had begun before the last of them says no more than that one did.
  if (othersFaults.has(error.code) || at < standing.cordonedUntil) return;
  standing.failures += 1;
  standing.trouble = error.message;
  const beyond = standing.failures - maxFailures;
  if (beyond < 0) return;
  standing.cordonedUntil = at + doubling(beyond, { first: timers.cordon, max: timers.cordonMax });
}

/** Its engine can build after all, or somebody says so. */
export function clearFailures(standing: Standing): void {
  standing.failures = 0;
  standing.cordonedUntil = 0;
}

/** An offer came to nothing. The pause after the third in a row doubles with each more. */
export function noteRefusal(
  standing: Standing,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): void {
  // Several that were out at the same time say no more than one.
  if (at < standing.askedAgainAt) return;
  standing.refusals += 1;
  const beyond = standing.refusals - maxRefusals;
  if (beyond < 0) return;
  standing.askedAgainAt = at + doubling(beyond, { first: timers.retry, max: timers.retryMax });
}

export function clearRefusals(standing: Standing): void {
  standing.refusals = 0;
  standing.askedAgainAt = 0;
}

/** It is to be offered one thing at a time, until it takes one. */
export function isDoubted({ refusals }: Standing): boolean {
  return refusals >= maxRefusals;
}

/** It is to be given one attempt at a time, until one ends well. */
export function isOnTrial({ failures }: Standing): boolean {
  return failures >= maxFailures;
}

/** Why it is offered nothing at the moment. Unlike one that is cordoned it is worth the wait of a build. */
export function reluctance({ refusals, askedAgainAt }: Standing, at: number): string | undefined {
  if (at >= askedAgainAt) return undefined;
  return `took none of ${refusals} offers in a row, gets another in ${Math.ceil((askedAgainAt - at) / 1000)} s`;
}

/** Milliseconds: `first`, and twice as many with each of `times`, up to `max`. */
export function doubling(times: number, { first, max }: { first: number; max: number }): number {
  return Math.min(first * 2 ** times, max);
}

/** Why it gets no new work in spite of what it says of itself; undefined where it may have some. */
export function objection(
  standing: Standing,
  at: number,
): { readonly state: 'draining' | 'cordoned'; readonly reason: string } | undefined {
  if (standing.drained !== undefined) {
    return { state: 'draining', reason: `drained by ${standing.drained.by}` };
  }
  if (at >= standing.cordonedUntil) return undefined;
  const seconds = Math.ceil((standing.cordonedUntil - at) / 1000);
  const { failures, trouble } = standing;
  return {
    state: 'cordoned',
    reason: `${failures} attempts in a row failed here, gets another in ${seconds} s; the last one: ${trouble}`,
  };
}

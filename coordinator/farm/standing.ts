/** What holds of an agent across its connections: the orders people gave it, and the failures it had in a row. */
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
}

/** Somebody's order to an agent. */
export interface Drain {
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** So many failures in a row are not the builds' fault. */
const maxFailures = 3;

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
  return { drained, failures: 0, cordonedUntil: 0, trouble: '' };
}

/** An attempt ended there without an image and without a verdict on the build. The pause doubles with each more. */
export function noteFailure(
  standing: Standing,
  error: ErrorInfo,
  { timers, at }: { readonly timers: Timers; readonly at: number },
): void {
  if (othersFaults.has(error.code)) return;
  standing.failures += 1;
  standing.trouble = error.message;
  const beyond = standing.failures - maxFailures;
  if (beyond >= 0) {
    const pause = Math.min(timers.cordon * 2 ** beyond, timers.cordonMax);
    standing.cordonedUntil = at + pause;
  }
}

/** Its engine can build after all, or somebody says so. */
export function clearFailures(standing: Standing): void {
  standing.failures = 0;
  standing.cordonedUntil = 0;
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

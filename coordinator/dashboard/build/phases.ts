/** What an attempt spent its time on, from the first word of its agent to its end. */
import type { AttemptRecord, StepRecord } from './record.ts';

export type Phase = 'build' | 'test' | 'push' | 'verify';

export interface PhaseSpan {
  readonly phase: Phase;
  /** Milliseconds since 1970, by the coordinator's clock. */
  readonly from: number;
  readonly to: number;
}

/** Milliseconds that the agent's clock is behind: nothing it tells happened before it had the attempt. */
export function clockShift({ began, steps }: AttemptRecord): number {
  const first = Math.min(...[...steps.values()].map((step) => step.began));
  return Number.isFinite(first) ? Math.max(0, began - first) : 0;
}

/** `now` ends what goes on. */
export function phasesOf(attempt: AttemptRecord, now: number): PhaseSpan[] {
  const shift = clockShift(attempt);
  const end = Math.max(attempt.ended ?? now, attempt.began);
  const within = (time: number): number => Math.min(end, Math.max(attempt.began, time + shift));
  const test = attempt.steps.get('test');
  const testFrom = test === undefined ? undefined : within(test.began);
  const pushFrom = attempt.pushBegan === undefined ? undefined : within(attempt.pushBegan);
  const buildTo = Math.min(testFrom ?? end, pushFrom ?? end);
  const spans: PhaseSpan[] = [{ phase: 'build', from: attempt.began, to: buildTo }];
  if (testFrom !== undefined)
    spans.push({ phase: 'test', from: testFrom, to: pushFrom ?? within(test?.ended ?? end) });
  if (pushFrom !== undefined) spans.push({ phase: 'push', from: pushFrom, to: end });
  // What was published is run after the attempt, perhaps elsewhere.
  const verify = attempt.steps.get('verify');
  if (verify !== undefined) spans.push({ phase: 'verify', ...stepSpan(verify, attempt, now) });
  return spans.filter(({ from, to }) => to >= from);
}

export function stepSpan(
  step: StepRecord,
  attempt: AttemptRecord,
  now: number,
): { from: number; to: number } {
  const shift = clockShift(attempt);
  const from = step.began + shift;
  const to = step.ended === undefined ? Math.max(from, attempt.ended ?? now) : step.ended + shift;
  return { from, to: Math.max(from, to) };
}

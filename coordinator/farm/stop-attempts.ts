/** Ends the attempts of a task that no longer needs them. */
import { formatAttempt } from '../../shared/attempt.ts';
import type { AttemptOutcome } from '../../shared/progress.ts';
import type { Attempt, TaskState } from './build-state.ts';
import type { Step } from './farm-state.ts';

export interface StopOptions {
  readonly outcome: AttemptOutcome;
  readonly reason: string;
  /** The attempt that settled the task. */
  readonly except?: Attempt;
}

/**
 * Cancels what agents still do for the task, including for attempts that had been given up. An agent that is
 * away is told when it lists the attempt again.
 */
export function stopAttempts(step: Step, task: TaskState, options: StopOptions): void {
  for (const attempt of task.attempts) {
    if (attempt === options.except) continue;
    if (attempt.status !== 'ended') {
      attempt.status = 'ended';
      attempt.endedAt = step.at;
      attempt.outcome = options.outcome;
    }
    const name = formatAttempt(attempt.id);
    const held = step.state.agents.get(attempt.agent)?.held;
    const holding = held?.get(name);
    if (holding === undefined) continue;
    // An agent that never answered the offer owes no report that would free the slot.
    if (holding === 'offered') held?.delete(name);
    step.effects.push({ type: 'cancel', attempt: attempt.id, agent: attempt.agent, reason: options.reason });
  }
}

/** What a coordinator knows and does, as text. */
import type { DurableEvent } from '../../coordinator/farm/events.ts';
import type { FarmState } from '../../coordinator/farm/farm-state.ts';
import { formatAttempt } from '../../shared/attempt.ts';

/** What a restart must not change. */
export function lasting(state: FarmState): string {
  const builds = [...state.builds.values()];
  return JSON.stringify(
    builds.map((build) => ({ ...build, tasks: [...build.tasks.values()] })),
    // Signs of life come again by themselves.
    (key, value: unknown) => (key === 'aliveAt' ? undefined : value),
  );
}

/** For the trace. */
export function describe(event: DurableEvent): string {
  if ('attempt' in event) {
    const outcome = event.type === 'failed' ? ` ${event.outcome} ${event.kind} ${event.error.message}` : '';
    return `${event.type} ${formatAttempt(event.attempt)}${outcome}`;
  }
  return `${event.type} ${event.type === 'submitted' ? event.build.id : event.build}`;
}

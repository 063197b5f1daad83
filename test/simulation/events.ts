/** What the messages of agents mean to the farm. */
import type { FarmEvent } from '../../coordinator/farm/events.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import type { FromAgent } from './messages.ts';

/** An event before it happens: it gets its time when the coordinator hears of it. */
export type Untimed = FarmEvent extends infer Event
  ? Event extends unknown
    ? Omit<Event, 'at'>
    : never
  : never;

export function eventOf(
  attempt: AttemptId,
  message: Extract<FromAgent, { type: 'accept' | 'decline' | 'report' }>,
): Untimed {
  switch (message.type) {
    case 'accept':
      return { type: 'accepted', attempt };
    case 'decline': {
      const error = { code: 'agent-lost', message: 'declined' } as const;
      return { type: 'failed', attempt, outcome: 'declined', kind: 'infrastructure', error };
    }
    case 'report': {
      const { outcome } = message;
      if (outcome.status === 'pushed') return { type: 'reported', attempt, image: outcome.image };
      if (outcome.status === 'failed') {
        const { kind, error } = outcome;
        return { type: 'failed', attempt, outcome: 'failed', kind, error };
      }
      const error = { code: 'cancelled', message: outcome.reason } as const;
      return { type: 'failed', attempt, outcome: 'cancelled', kind: 'infrastructure', error };
    }
    default:
      return message satisfies never;
  }
}

/** What the farm does by itself: it gives out work, notices what is overdue, and lets builds publish in turn. */
import { formatAttempt } from '../../shared/attempt.ts';
import { toErrorInfo } from '../../shared/errors.ts';
import type { ErrorInfo } from '../../shared/errors.ts';
import { tagKey } from '../registry/spelling.ts';
import { isReady, isSettled, liveAttempt } from './build-state.ts';
import type { Attempt } from './build-state.ts';
import type { DurableEvent } from './events.ts';
import { notBefore } from './farm-state.ts';
import type { FarmState } from './farm-state.ts';
import { isKept, placeTasks } from './placement.ts';
import { helplessSince, noAgentError, Roster } from './roster.ts';
import type { Wait } from './roster.ts';

/** The events that are due at `at`. Pure: they take effect when they have been stored and applied. */
export function decide(state: FarmState, at: number): DurableEvent[] {
  const roster = new Roster(state, at);
  return [...overdue(roster), ...publications(state, at), ...placeTasks(roster)];
}

function* overdue(roster: Roster): Generator<DurableEvent> {
  for (const build of roster.state.builds.values())
    for (const task of build.tasks.values())
      if (!isSettled(task)) yield* overdueTask(roster, { build, task });
}

function overdueTask(roster: Roster, wait: Wait): readonly DurableEvent[] {
  const { state, at } = roster;
  const { build, task } = wait;
  const attempt = liveAttempt(task);
  if (attempt !== undefined) return overdueAttempt(state, { ...wait, attempt, at });
  if (roster.able(wait).length > 0) return [];
  // Also after an attempt that has ended since: the agents that could take it on may yet have to come back.
  const due = helplessSince(roster, wait) + build.spec.waitAgent;
  if (at <= notBefore(state, { since: build.createdAt, due })) return [];
  const error = toErrorInfo(noAgentError(roster, wait));
  return [{ type: 'abandoned', at, build: build.id, platform: task.platform, error }];
}

function overdueAttempt(
  state: FarmState,
  { attempt, at, ...wait }: Wait & { attempt: Attempt; at: number },
): DurableEvent[] {
  const { timers } = state;
  const { id, agent: name } = attempt;
  const agent = state.agents.get(name);
  // Only its agent's new session can tell; an agent that is away may still have it.
  const dropped = agent?.connected === true && !agent.held.has(formatAttempt(id));
  switch (attempt.status) {
    case 'offered': {
      if (isKept(state, { attempt, at })) return [{ type: 'accepted', at, attempt: id }];
      const due = notBefore(state, { since: attempt.offeredAt, due: attempt.offeredAt + timers.accept });
      if (!dropped && at <= due) return [];
      return [ended(attempt, { at, outcome: 'declined', message: `agent ${name} did not take the offer` })];
    }
    case 'running': {
      if (dropped) {
        return [
          ended(attempt, { at, outcome: 'lost', message: `agent ${name} was restarted and lost the build` }),
        ];
      }
      const heardAt = Math.max(agent?.heardAt ?? 0, attempt.acceptedAt ?? 0);
      if (at <= Math.max(heardAt + timers.lost, state.grace.until)) {
        // A result that was there in time may only have found nobody to take it.
        const timeUp = notBefore(state, { since: attempt.aliveAt, due: timeLimit(wait, at) });
        if (at > timeUp) return [timedOut(attempt, { at, limit: wait.build.spec.timeout ?? Infinity })];
        const due = notBefore(state, { since: attempt.aliveAt, due: attempt.aliveAt + timers.stall });
        return at <= due ? [] : [stalled(attempt, at)];
      }
      const silence = Math.round((at - heardAt) / 1000);
      return [ended(attempt, { at, outcome: 'lost', message: `agent ${name} was silent for ${silence} s` })];
    }
    case 'reported':
    case 'ended':
      return [];
    default:
      return attempt.status satisfies never;
  }
}

function ended(
  { id }: Attempt,
  { at, outcome, message }: { at: number; outcome: 'declined' | 'lost'; message: string },
): DurableEvent {
  const error: ErrorInfo = { code: 'agent-lost', message, hint: 'see archfarm agents' };
  return { type: 'failed', at, attempt: id, outcome, kind: 'infrastructure', error };
}

/** When the task will have been worked on for as long as it may be. What it waits for agents does not count. */
function timeLimit({ build, task }: Wait, at: number): number {
  const worked = task.attempts.reduce(
    (sum, { acceptedAt, endedAt }) => sum + (acceptedAt === undefined ? 0 : (endedAt ?? at) - acceptedAt),
    0,
  );
  return at + (build.spec.timeout ?? Infinity) - worked;
}

function timedOut({ id, agent }: Attempt, { at, limit }: { at: number; limit: number }): DurableEvent {
  const error: ErrorInfo = {
    code: 'timeout',
    message: `the build for ${id.platform} took longer than ${Math.round(limit / 1000)} s on agent ${agent}`,
    hint: 'give it more time with --timeout',
  };
  return { type: 'failed', at, attempt: id, outcome: 'failed', kind: 'build', error };
}

/** Another agent would most likely wait as long again, for the same step of the same build. */
function stalled({ id, agent, aliveAt }: Attempt, at: number): DurableEvent {
  const minutes = Math.round((at - aliveAt) / 60_000);
  const error: ErrorInfo = {
    code: 'stalled',
    message: `the build for ${id.platform} gave no sign for ${minutes} minutes on agent ${agent}`,
    hint: 'let its long steps print something, or raise the limit: archfarm serve --stall-limit',
  };
  return { type: 'failed', at, attempt: id, outcome: 'failed', kind: 'build', error };
}

/**
 * Each tag has one writer at a time, in order of submission among those that are ready. A tag that a newer
 * build has published is left alone; a build that has no other is superseded.
 */
function publications(state: FarmState, at: number): DurableEvent[] {
  const taken = new Set(
    [...state.builds.values()].flatMap(({ publishing, published }) =>
      published === undefined ? (publishing ?? []).map(tagKey) : [],
    ),
  );
  const events: DurableEvent[] = [];
  for (const build of state.builds.values()) {
    if (!isReady(build)) continue;
    const names = build.spec.tags.filter((name) => {
      const tag = tagKey(name);
      return (state.published.get(tag) ?? 0) <= build.sequence;
    });
    const tags = names.map(tagKey);
    if (names.length === 0) events.push({ type: 'superseded', at, build: build.id });
    else if (!tags.some((tag) => taken.has(tag)))
      events.push({ type: 'publishing', at, build: build.id, tags: names });
    for (const tag of tags) taken.add(tag);
  }
  return events;
}

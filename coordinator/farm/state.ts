/**
 * The farm's state machine. It has no clock, does no I/O and rolls no dice: the same events in the same order
 * give the same state, here, after a restart and in a simulation.
 */
import {
  beat,
  connect,
  disconnect,
  drain,
  forgetAgent,
  forgetAgents,
  hear,
  undrain,
} from './agent-transitions.ts';
import type { Build } from './build-state.ts';
import {
  beginPublishing,
  cancel,
  childrenOf,
  endProved,
  endPublished,
  endSuperseded,
  endUnpublished,
  proofOf,
  submit,
} from './build-transitions.ts';
import type { Effect, FarmEvent } from './events.ts';
import type { FarmState, Step } from './farm-state.ts';
import {
  abandon,
  accept,
  fail,
  hearAttempt,
  offer,
  report,
  resume,
  verify,
  voidAttempt,
} from './task-transitions.ts';

/**
 * Changes `state` in place and says what is to be done about it. Events that come late, twice or for
 * something unknown are harmless. What a durable event does to a build never depends on a volatile one.
 */
export function apply(state: FarmState, event: FarmEvent): Effect[] {
  watchClock(state, event.at);
  const step: Step = { state, at: event.at, effects: [] };
  transition(step, event);
  return step.effects;
}

/** The work that was under way when the coordinator stopped, to be begun again. */
export function unfinishedWork(state: FarmState): Effect[] {
  return [...state.builds.values()].flatMap((build) => {
    const proof = proofOf(build);
    if (proof !== undefined) return [{ ...proof, resumed: true }];
    if (build.publishing !== undefined) {
      const { id, publishing: tags, previous } = build;
      return [{ type: 'publish', build: id, children: childrenOf(build), tags, previous }];
    }
    return [...build.tasks.values()].flatMap((task) =>
      task.attempts.flatMap(({ id, status, report: image }): Effect[] =>
        status === 'reported' && image !== undefined ? [{ type: 'verify', attempt: id, image }] : [],
      ),
    );
  });
}

/** A coordinator that was stopped heard nobody meanwhile, so silence says nothing for a while. */
function watchClock(state: FarmState, at: number): void {
  if (at - state.clock > state.timers.pause) state.grace = { from: at, until: at + state.timers.grace };
  state.clock = Math.max(state.clock, at);
}

function transition(step: Step, event: FarmEvent): void {
  switch (event.type) {
    case 'submitted':
      return submit(step, event.build);
    case 'offered':
      return offer(step, event);
    case 'accepted':
      return accept(step, event.attempt);
    case 'resumed':
      return resume(step, event.attempt);
    case 'reported':
      return report(step, event.attempt, event.image);
    case 'verified':
      return verify(step, event.attempt, event.image);
    case 'failed':
      return fail(step, event);
    case 'voided':
      return voidAttempt(step, event);
    case 'abandoned':
      return abandon(step, event, event.error);
    case 'cancelled':
      return withBuild(step, event.build, (build) => cancel(step, build, event.error));
    case 'publishing':
      return withBuild(step, event.build, (build) => beginPublishing(step, build, event.tags));
    case 'moving':
      // Only the first run of a publication saw the tags as they were.
      return withBuild(step, event.build, (build) => void (build.previous ??= event.previous));
    case 'superseded':
      return withBuild(step, event.build, (build) => endSuperseded(step, build));
    case 'published':
      return withBuild(step, event.build, (build) => endPublished(step, build, event));
    case 'publish-failed':
      return withBuild(step, event.build, (build) => endUnpublished(step, build, event.error));
    case 'proved':
      return withBuild(step, event.build, (build) => endProved(step, build, event.proofs));
    case 'agent-up':
      return connect(step, event);
    case 'agent-down':
      return disconnect(step, event);
    case 'heard':
      return hear(step, event);
    case 'beat':
      return beat(step, event);
    case 'drained':
      return drain(step, event);
    case 'undrained':
      return undrain(step, event.agent);
    case 'agent-removed':
      return forgetAgent(step, event.agent);
    case 'alive':
      return hearAttempt(step, event.attempt);
    case 'context-sent':
      return withBuild(step, event.build, (build) => void (build.sentBytes = event.bytes));
    case 'tick':
      return forgetAgents(step);
    default:
      return event satisfies never;
  }
}

function withBuild(step: Step, id: string, change: (build: Build) => void): void {
  const build = step.state.builds.get(id);
  if (build !== undefined) change(build);
}

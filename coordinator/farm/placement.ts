/** Which waiting task goes to which agent. */
import { formatAttempt } from '../../shared/attempt.ts';
import type { Timers } from '../../shared/timers.ts';
import { affinityOf } from './affinity.ts';
import { isSuspect, offers } from './agent-state.ts';
import type { Agent } from './agent-state.ts';
import { isResumable, liveAttempt } from './build-state.ts';
import type { Attempt, TaskState } from './build-state.ts';
import type { DurableEvent } from './events.ts';
import type { FarmState } from './farm-state.ts';
import type { Roster, Wait } from './roster.ts';
import { isDoubted, isOnTrial, reluctance } from './standing.ts';
import { doubling } from './streak.ts';
import { Turns } from './turns.ts';

/** Offers for waiting tasks, each in its turn, and the attempts whose agents are back with them. */
export function placeTasks(roster: Roster): DurableEvent[] {
  const { state, at } = roster;
  const load = new Load();
  const events: DurableEvent[] = [];
  const waiting: Wait[] = [];
  for (const build of state.builds.values()) {
    for (const task of build.tasks.values()) {
      if (task.status !== 'queued' || liveAttempt(task) !== undefined) continue;
      const back = task.attempts.find((attempt) => isResumable(attempt) && isKept(state, { attempt, at }));
      if (back === undefined) waiting.push({ build, task });
      else events.push({ type: 'resumed', at, attempt: back.id });
    }
  }
  new Turns(state, waiting).take(({ build, task }) => {
    const agent = choose(roster, { build, task, load });
    if (agent === undefined) return false;
    load.add(agent);
    events.push({
      type: 'offered',
      at,
      attempt: { build: build.id, platform: task.platform, number: task.attempts.length + 1 },
      agent: agent.facts.name,
      session: agent.facts.session,
      native: offers(agent, task.platform) === 'native',
    });
    return true;
  });
  return events;
}

/** Whether the agent itself said that it has this attempt, and still speaks. */
export function isKept(state: FarmState, { attempt, at }: { attempt: Attempt; at: number }): boolean {
  const agent = state.agents.get(attempt.agent);
  if (agent === undefined || !agent.connected || isSuspect(agent, state.timers, at)) return false;
  return agent.held.get(formatAttempt(attempt.id)) === 'confirmed';
}

function choose(roster: Roster, { build, task, load }: Wait & { load: Load }): Agent | undefined {
  const { state, at } = roster;
  const able = roster.able({ build, task });
  if (load.isFull(able)) return undefined;
  const willing = able.filter(
    (agent) => reluctance(agent.standing, at) === undefined && !isResting(state, { agent, task, at }),
  );
  const free = worthIt(willing, { task, at, timers: state.timers }).filter(
    (agent) => load.hasSlot(agent) && !isSuspect(agent, state.timers, at),
  );
  const triesOn = (agent: Agent): number => endedOn(agent, task).length;
  const closeness = (agent: Agent): number =>
    affinityOf(state.acquaintance, agent.facts.name, { build, task });
  return free.toSorted(
    (a, b) =>
      triesOn(a) - triesOn(b) || closeness(b) - closeness(a) || load.of(a) - load.of(b) || byName(a, b),
  )[0];
}

/**
 * A task has three tries, and the same host may fail it again: for a while a busy agent that has not failed it is worth the
 * wait. One that lost it by a restart, say, is as good as any.
 */
function worthIt(
  willing: readonly Agent[],
  { task, at, timers }: { task: TaskState; at: number; timers: Timers },
): readonly Agent[] {
  if (at - task.queuedAt >= timers.retryMax) return willing;
  const others = willing.filter((agent) => !endedOn(agent, task).some(({ outcome }) => outcome === 'failed'));
  return others.length > 0 ? others : willing;
}

/** A declined offer is no try. */
function endedOn(agent: Agent, task: TaskState): Attempt[] {
  return task.attempts.filter(
    ({ agent: name, status, outcome }) =>
      name === agent.facts.name && status === 'ended' && outcome !== 'declined',
  );
}

/** It has just failed or declined this very task: the same answer again at once would help nobody. */
function isResting(
  { timers }: FarmState,
  { agent, task, at }: { agent: Agent; task: TaskState; at: number },
): boolean {
  const answers = task.attempts.filter(
    ({ agent: name, outcome, endedAt }) =>
      name === agent.facts.name && outcome !== 'lost' && endedAt !== undefined,
  );
  const pause = doubling(answers.length - 1, { first: timers.retry, max: timers.retryMax });
  return at - (answers.at(-1)?.endedAt ?? -Infinity) < pause;
}

function byName(a: Agent, b: Agent): number {
  return a.facts.name < b.facts.name ? -1 : 1;
}

/** Slots in use, including those that the same round of offers fills. */
class Load {
  readonly #planned = new Map<Agent, number>();
  readonly #full = new Set<readonly Agent[]>();

  hasSlot(agent: Agent): boolean {
    if (isDoubted(agent.standing) && this.#offersTo(agent) > 0) return false;
    const slots = isOnTrial(agent.standing) ? 1 : agent.facts.slots;
    return this.#slotsOf(agent) < slots;
  }

  /** Within a round slots only fill up, so a long queue asks once for each kind of work. */
  isFull(agents: readonly Agent[]): boolean {
    if (!this.#full.has(agents) && !agents.some((agent) => this.hasSlot(agent))) this.#full.add(agents);
    return this.#full.has(agents);
  }

  /** The part of its slots in use, by its weight: an agent of weight 2 may be twice as full. */
  of(agent: Agent): number {
    return this.#slotsOf(agent) / agent.facts.slots / agent.facts.weight;
  }

  add(agent: Agent): void {
    this.#planned.set(agent, (this.#planned.get(agent) ?? 0) + 1);
  }

  #offersTo(agent: Agent): number {
    const open = [...agent.held.values()].filter((held) => held === 'offered');
    return open.length + (this.#planned.get(agent) ?? 0);
  }

  #slotsOf(agent: Agent): number {
    return agent.held.size + (this.#planned.get(agent) ?? 0);
  }
}

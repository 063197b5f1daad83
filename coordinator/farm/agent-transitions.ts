/** How agents come, speak and go. */
import { ableUntil, newAgent } from './agent-state.ts';
import type { Agent } from './agent-state.ts';
import type { VolatileEvent } from './events.ts';
import { clearFailures, clearRefusals, outlivesAgent } from './standing.ts';
import { couldCount, standingOf } from './farm-state.ts';
import type { FarmState, Step } from './farm-state.ts';

type Up = Extract<VolatileEvent, { type: 'agent-up' }>;
type Beat = Extract<VolatileEvent, { type: 'beat' }>;

export function connect(step: Step, { agent: facts, attempts }: Up): void {
  const wanted = attempts.filter((attempt) => couldCount(step.state, { attempt, agent: facts.name }));
  const standing = standingOf(step.state, facts.name);
  const before = step.state.agents.get(facts.name);
  const ableBefore = before === undefined ? 0 : ableUntil(before, step.state.timers, step.at);
  step.state.agents.set(facts.name, newAgent(facts, standing, { attempts: wanted, at: step.at, ableBefore }));
  for (const attempt of attempts) {
    if (wanted.includes(attempt)) continue;
    const reason = 'this attempt is no longer needed';
    step.effects.push({ type: 'cancel', attempt, agent: facts.name, reason });
  }
}

export function disconnect(step: Step, { agent: name, session }: { agent: string; session: string }): void {
  const agent = speaker(step.state, { agent: name, session });
  if (agent === undefined) return;
  agent.connected = false;
  agent.changedAt = step.at;
}

export function hear(step: Step, from: { agent: string; session: string }): void {
  const agent = speaker(step.state, from);
  if (agent !== undefined) agent.heardAt = Math.max(agent.heardAt, step.at);
}

export function beat(step: Step, event: Beat): void {
  const agent = speaker(step.state, event);
  if (agent === undefined) return;
  agent.heardAt = Math.max(agent.heardAt, step.at);
  agent.reason = event.reason;
  recovered(agent, event.state);
  agent.contexts = event.contexts ?? agent.contexts;
  agent.disks = event.disks ?? agent.disks;
  agent.usage = event.usage ?? agent.usage;
  if (agent.state === event.state) return;
  agent.state = event.state;
  agent.stateAt = step.at;
}

/** Its engine is well again by its own word, so what failed before says nothing any more. */
function recovered(agent: Agent, state: Beat['state']): void {
  if (agent.state === 'cordoned' && state === 'ready') clearFailures(agent.standing);
}

export function drain(step: Step, { agent: name, by }: Extract<VolatileEvent, { type: 'drained' }>): void {
  standingOf(step.state, name).drained ??= { by, at: step.at };
}

export function undrain(step: Step, name: string): void {
  const standing = standingOf(step.state, name);
  standing.drained = undefined;
  clearFailures(standing);
  clearRefusals(standing);
}

/** As if it had never been here. */
export function forgetAgent({ state }: Step, name: string): void {
  if (state.agents.get(name)?.connected === true) return;
  state.agents.delete(name);
  state.standings.delete(name);
  state.acquaintance.delete(name);
}

/**
 * Agents that went away are shown for a while, as long as they could come back with work, or a build waits that may count from
 * when they went. Then nothing is kept of them, but for orders and long rows of failures.
 */
export function forgetAgents({ state, at }: Step): void {
  const { cutOff } = state.timers;
  const kept = Math.max(cutOff, longestWait(state));
  for (const [name, agent] of state.agents) {
    if (!agent.connected && at - agent.changedAt > kept) state.agents.delete(name);
  }
  // What was known before a start is of use to those that have yet to come back.
  if (at - state.grace.from <= cutOff) return;
  for (const name of state.acquaintance.keys()) {
    if (!state.agents.has(name)) state.acquaintance.delete(name);
  }
  for (const [name, standing] of state.standings) {
    if (!state.agents.has(name) && !outlivesAgent(standing, { timers: state.timers, at }))
      state.standings.delete(name);
  }
}

/** Milliseconds. */
function longestWait({ builds }: FarmState): number {
  let longest = 0;
  for (const { spec } of builds.values()) longest = Math.max(longest, spec.waitAgent);
  return longest;
}

/** An older session of the same agent says nothing about the present one. */
function speaker(
  state: FarmState,
  { agent: name, session }: { agent: string; session: string },
): Agent | undefined {
  const agent = state.agents.get(name);
  return agent?.connected === true && agent.facts.session === session ? agent : undefined;
}

/** Everything that the farm's decisions rest on: the builds that have not ended, and the agents. */
import { formatAttempt } from '../../shared/attempt.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import type { Timers } from '../../shared/timers.ts';
import type { Acquaintance } from './affinity.ts';
import type { Agent } from './agent-state.ts';
import { isSettled } from './build-state.ts';
import type { Attempt, Build, TaskState } from './build-state.ts';
import type { Effect } from './events.ts';
import { clearFailures, clearRefusals, newStanding, type Drain, type Standing } from './standing.ts';

export interface FarmState {
  readonly timers: Timers;
  /** In order of submission. A build that ends leaves with its `finished` effect. */
  readonly builds: Map<string, Build>;
  /** By name. */
  readonly agents: Map<string, Agent>;
  /** What agents have worked on before. */
  readonly acquaintance: Acquaintance;
  /** By name, also of agents that are away. */
  readonly standings: Map<string, Standing>;
  /** Keys of tags, and the highest sequence that published each, as far as an older build may still want them. */
  readonly published: Map<string, number>;
  /** The latest time that an event carried. */
  clock: number;
  /** Nobody could be heard before `from`, so until `until` silence says nothing. */
  grace: { readonly from: number; readonly until: number };
}

/** One event on its way through the state. */
export interface Step {
  readonly state: FarmState;
  readonly at: number;
  readonly effects: Effect[];
}

export interface StateOptions {
  readonly timers: Timers;
  readonly drained?: ReadonlyMap<string, Drain> | undefined;
  /** When this coordinator started: before it, no agent could be heard. */
  readonly startedAt: number;
  /** Of builds that have ended. */
  readonly published?: ReadonlyMap<string, number>;
}

export function createState({ timers, startedAt, published, drained }: StateOptions): FarmState {
  return {
    timers,
    builds: new Map(),
    agents: new Map(),
    acquaintance: new Map(),
    standings: new Map([...(drained ?? [])].map(([name, drain]) => [name, newStanding(drain)])),
    published: new Map(published),
    clock: startedAt,
    grace: { from: startedAt, until: startedAt + timers.grace },
  };
}

/** Of an agent that may never have been here. */
export function standingOf(state: FarmState, name: string): Standing {
  const known = state.standings.get(name);
  if (known !== undefined) return known;
  const standing = newStanding();
  state.standings.set(name, standing);
  return standing;
}

/** To be called after a start: what went well between the failures may have been of builds that are not open any more. */
export function forgetRows(state: FarmState): void {
  for (const standing of state.standings.values()) {
    clearFailures(standing);
    clearRefusals(standing);
  }
}

/** The earliest time at which something due at `due`, waiting since `since`, may count as overdue. */
export function notBefore(state: FarmState, wait: { since: number; due: number }): number {
  return wait.since <= state.grace.from ? Math.max(wait.due, state.grace.until) : wait.due;
}

export interface Found {
  readonly build: Build;
  readonly task: TaskState;
  readonly attempt: Attempt;
}

/** Undefined for an attempt that was never stored, and for every attempt of a build that has ended. */
export function findAttempt(state: FarmState, id: AttemptId): Found | undefined {
  const build = state.builds.get(id.build);
  const task = build?.tasks.get(id.platform);
  const attempt = task?.attempts[id.number - 1];
  return build && task && attempt && { build, task, attempt };
}

/** What an agent may say of an attempt. */
export interface Claim {
  readonly attempt: AttemptId;
  readonly agent: string;
}

/** Whether what this agent says of the attempt matters: it frees a slot, or could still bring an image. */
export function isWanted(state: FarmState, claim: Claim): boolean {
  const holder = state.agents.get(claim.agent);
  return holder?.held.has(formatAttempt(claim.attempt)) === true || couldCount(state, claim);
}

/** Whether a report of the attempt by this agent could still bring the task's image. */
export function couldCount(state: FarmState, { attempt, agent }: Claim): boolean {
  const found = findAttempt(state, attempt);
  if (found?.attempt.agent !== agent) return false;
  return found.attempt.report === undefined && !found.attempt.isVoid && !isSettled(found.task);
}

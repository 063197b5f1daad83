/** What the farm knows of an agent. None of it is stored: agents say it again when they connect. */
import { formatAttempt } from '../../shared/attempt.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { refusedBy, type Demand, type Policy } from '../../shared/policy.ts';
import type { DiskSpace } from '../../shared/disk-space.ts';
import type { ProcessUsage } from '../../shared/process-usage.ts';
import type { Timers } from '../../shared/timers.ts';
import type { AgentFacts } from './events.ts';
import { isCovered } from '../trust/repository-prefix.ts';
import { objectedSince, objection, reluctance, type Standing } from './standing.ts';

export interface Agent {
  facts: AgentFacts;
  /** Outlives the connection. */
  readonly standing: Standing;
  connected: boolean;
  /** When it connected or disconnected. */
  changedAt: number;
  /** When it connected, with the state that its hello had. */
  readonly connectedAt: number;
  /** Until when it was able over an earlier connection. */
  readonly ableBefore: number;
  /** When the last byte came from it. */
  heardAt: number;
  state: 'ready' | 'draining' | 'cordoned';
  stateAt: number;
  reason: string | undefined;
  /** Of its store, where it has told. */
  contexts: StoreUsage | undefined;
  /** What is free on its host, where it has told. */
  disks: readonly DiskSpace[] | undefined;
  /** Of its process, where it has told. */
  usage: ProcessUsage | undefined;
  /**
   * The attempts that take a slot of it, by name: offered to it, or known from its own word. An attempt that
   * the farm gave up stays here for as long as the agent may still be working on it.
   */
  readonly held: Map<string, 'offered' | 'confirmed'>;
}

export function newAgent(
  facts: AgentFacts,
  standing: Standing,
  {
    attempts,
    at,
    ableBefore,
  }: { readonly attempts: readonly AttemptId[]; readonly at: number; readonly ableBefore: number },
): Agent {
  return {
    facts,
    standing,
    connected: true,
    changedAt: at,
    connectedAt: at,
    ableBefore,
    heardAt: at,
    state: 'ready',
    stateAt: at,
    reason: undefined,
    contexts: undefined,
    disks: undefined,
    usage: undefined,
    held: new Map(attempts.map((attempt) => [formatAttempt(attempt), 'confirmed'])),
  };
}

export function isSuspect(agent: Agent, timers: Timers, at: number): boolean {
  return at - agent.heardAt > timers.suspect;
}

/** It takes work, with or without a free slot. */
export function isAble(agent: Agent, timers: Timers, at: number): boolean {
  if (objection(agent.standing, at) !== undefined) return false;
  return agent.connected && agent.state === 'ready' && at - agent.heardAt <= timers.lost;
}

/** Until when it was able, given that it is not now. */
export function ableUntil(agent: Agent, timers: Timers, at: number): number {
  const until = Math.min(
    agent.connected ? at : agent.changedAt,
    agent.state === 'ready' ? at : agent.stateAt,
    objectedSince(agent.standing, at) ?? at,
    agent.heardAt + timers.lost,
  );
  // What keeps it from work may be older than its connection.
  return until > agent.connectedAt ? until : agent.ableBefore;
}

/** Whether the agent has all of these labels. */
export function hasLabels({ facts }: Agent, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => facts.labels[name] === value);
}

/** Whether it may push the platform images of a build that has this tag first. */
export function mayPush({ facts: { repositories = [] } }: Agent, [tag = '']: readonly string[]): boolean {
  return repositories.length === 0 || isCovered(tag, repositories);
}

/** What of a build's demands its policy refuses. */
export function refusalsOf({ facts }: Agent, demands: readonly Demand[]): Demand[] {
  return refusedBy(facts.policy, demands);
}

/** How an agent offers a platform, if it does. */
export function offers(agent: Agent, platform: string): 'native' | 'emulated' | undefined {
  const offered = agent.facts.platforms.find((candidate) => candidate.platform === platform);
  if (offered === undefined) return undefined;
  return offered.native ? 'native' : 'emulated';
}

/** As `agents --json` shows it. */
export interface AgentView {
  readonly name: string;
  readonly platforms: AgentFacts['platforms'];
  readonly slots: number;
  readonly busy: number;
  readonly state: 'ready' | 'draining' | 'cordoned' | 'suspect' | 'offline';
  readonly reason: string | undefined;
  /** Since when, where that is known; milliseconds since 1970. */
  readonly since: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly protocol: number;
  /** What it allows builds to ask of its engine; absent where it knows no policies. */
  readonly policy: Policy | undefined;
  readonly engine: AgentFacts['engine'];
  /** The attempts that take its slots, by name. */
  readonly attempts: readonly string[];
  /** What its store of contents holds, and how often that helped. */
  readonly contexts: StoreUsage | undefined;
  readonly disks: readonly DiskSpace[] | undefined;
  /** What its process takes of its host; not told with each change. */
  readonly usage: ProcessUsage | undefined;
}

export function viewOf(agent: Agent, timers: Timers, at: number): AgentView {
  const { name, platforms, slots, labels, version, protocol, policy, engine } = agent.facts;
  return {
    name,
    platforms,
    slots,
    busy: agent.held.size,
    ...condition(agent, timers, at),
    labels,
    version,
    protocol,
    policy,
    engine,
    attempts: [...agent.held.keys()],
    contexts: agent.contexts,
    disks: agent.disks,
    usage: agent.usage,
  };
}

function condition(agent: Agent, timers: Timers, at: number): Pick<AgentView, 'state' | 'reason' | 'since'> {
  if (!agent.connected) {
    const reason = `disconnected ${seconds(at - agent.changedAt)} ago`;
    return { state: 'offline', reason, since: agent.changedAt };
  }
  if (isSuspect(agent, timers, at)) {
    const reason = `nothing heard for ${seconds(at - agent.heardAt)}`;
    return { state: 'suspect', reason, since: agent.heardAt };
  }
  // What an agent says of itself is the nearer reason.
  const objected = agent.state === 'ready' ? objection(agent.standing, at) : undefined;
  if (objected !== undefined) return { ...objected, since: objectedSince(agent.standing, at) };
  const reason = agent.reason ?? reluctance(agent.standing, at);
  return { state: agent.state, reason, since: agent.stateAt };
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`;
}

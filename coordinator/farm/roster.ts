/** Which agents could run a task at one moment, and what to say where none can. */
import { ArchfarmError, fromErrorInfo } from '../../shared/errors.ts';
import { allowFlag, describeDemands } from '../../shared/policy.ts';
import { ableUntil, hasLabels, isAble, mayPush, offers, refusalsOf, viewOf } from './agent-state.ts';
import type { Agent } from './agent-state.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Build, TaskState } from './build-state.ts';
import { demandsOn, refusers } from './demands.ts';
import type { FarmState } from './farm-state.ts';

/** More agents than this are counted, not named. */
const namedAgents = 10;

export interface Wait {
  readonly build: Build;
  readonly task: TaskState;
}

/** The connected agents at one moment, with or without free slots. */
export class Roster {
  readonly state: FarmState;
  readonly at: number;
  readonly #able = new Map<string, readonly Agent[]>();
  readonly #lastAble = new Map<string, number>();
  /** Only then work differs by where it is pushed to. */
  readonly #isAnyLimited: boolean;

  constructor(state: FarmState, at: number) {
    this.state = state;
    this.at = at;
    this.#isAnyLimited = [...state.agents.values()].some(
      ({ facts }) => (facts.repositories ?? []).length > 0,
    );
  }

  /**
   * Those that take such work. Emulating ones count only where they are allowed and no native one is there: a
   * busy native host is worth the wait. The same array for the same kind of work.
   */
  able({ build, task }: Wait): readonly Agent[] {
    const { allowEmulation, agentLabels, tags } = build.spec;
    const refused = refusers(task);
    const kind = this.#kindOf({ build, task }, refused);
    const known = this.#able.get(kind);
    if (known !== undefined) return known;
    const demands = demandsOn(build.spec, task.platform);
    const able = [...this.state.agents.values()].filter(
      (agent) =>
        isAble(agent, this.state.timers, this.at) &&
        hasLabels(agent, agentLabels) &&
        mayPush(agent, tags) &&
        refusalsOf(agent, demands).length === 0 &&
        !refused.includes(agent.facts.name),
    );
    const native = able.filter((agent) => offers(agent, task.platform) === 'native');
    const chosen =
      native.length > 0 || !allowEmulation
        ? native
        : able.filter((agent) => offers(agent, task.platform) === 'emulated');
    this.#able.set(kind, chosen);
    return chosen;
  }

  /** Until when one of those that could do such work took any, given that none does now; -Infinity without any. */
  lastAble(wait: Wait): number {
    const kind = this.#kindOf(wait, refusers(wait.task));
    const known = this.#lastAble.get(kind);
    if (known !== undefined) return known;
    const ends = fitting(this.state, wait).map((agent) => ableUntil(agent, this.state.timers, this.at));
    const last = Math.max(-Infinity, ...ends);
    this.#lastAble.set(kind, last);
    return last;
  }

  #kindOf({ build, task }: Wait, refused: readonly string[]): string {
    const target = this.#isAnyLimited ? build.spec.tags[0] : '';
    const plain = kindOf(build.spec, task.platform);
    // Joining makes a new string to hash, at every look and for each that waits.
    return target === '' && refused.length === 0 ? plain : [plain, target, ...refused].join('\n');
  }
}

/** Of all that waits this is asked at every look, and a spec never changes. */
const kinds = new WeakMap<BuildSpec, Map<string, string>>();

/** Which agents it takes, apart from where it is pushed to. No kind has a line feed. */
function kindOf(spec: BuildSpec, platform: string): string {
  const byPlatform = kinds.get(spec) ?? new Map<string, string>();
  kinds.set(spec, byPlatform);
  const known = byPlatform.get(platform);
  if (known !== undefined) return known;
  const { allowEmulation, agentLabels } = spec;
  const kind = JSON.stringify([platform, allowEmulation, agentLabels, demandsOn(spec, platform)]);
  byPlatform.set(platform, kind);
  return kind;
}

/** Since when no agent could have taken the task, given that none can now. Who could before a start is not known. */
export function helplessSince(roster: Roster, { build, task }: Wait): number {
  const { from } = roster.state.grace;
  return Math.max(task.queuedAt, build.createdAt <= from ? from : 0, roster.lastAble({ build, task }));
}

/** Those that could do such work if they took any. */
function fitting(state: FarmState, { build, task }: Wait): Agent[] {
  const demands = demandsOn(build.spec, task.platform);
  const refused = refusers(task);
  return [...state.agents.values()].filter((agent) => {
    if (!hasLabels(agent, build.spec.agentLabels) || !mayPush(agent, build.spec.tags)) return false;
    if (refused.includes(agent.facts.name) || refusalsOf(agent, demands).length > 0) return false;
    const offered = offers(agent, task.platform);
    return offered === 'native' || (offered === 'emulated' && build.spec.allowEmulation);
  });
}

/** Why a new task has to wait, if it has to. */
export function waitReason(roster: Roster, wait: Wait): string | undefined {
  const able = roster.able(wait);
  if (able.length === 0) {
    return fitting(roster.state, wait).some(({ connected }) => connected)
      ? `no agent for ${wanted(wait)} takes work, see archfarm agents`
      : `no agent for ${wanted(wait)} is connected`;
  }
  if (able.some((agent) => agent.held.size < agent.facts.slots)) return undefined;
  return `every agent for ${wanted(wait)} is busy`;
}

/** The platform, the labels that an agent must have, and what it must allow. */
function wanted({ build, task }: Wait): string {
  const labels = formatLabels(build.spec.agentLabels);
  const labelled = labels === '' ? task.platform : `${task.platform} with ${labels}`;
  const demands = demandsOn(build.spec, task.platform);
  return demands.length === 0 ? labelled : `${labelled} that allows ${demands.join(', ')}`;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** Says which agents there are and what they offer; or whose policy refuses the build, where it would run otherwise. */
export function noAgentError({ state, at }: Roster, wait: Wait): ArchfarmError {
  const agents = [...state.agents.values()];
  const refused = policyError(agents, wait);
  if (refused !== undefined) return refused;
  const there = agents.length === 0 ? 'no agent is connected' : `agents: ${describe(state, agents, at)}`;
  return new ArchfarmError('no-agent', `no agent for ${wanted(wait)}; ${there}`, {
    hint: hintFor(wait, agents),
  });
}

function policyError(agents: readonly Agent[], { build, task }: Wait): ArchfarmError | undefined {
  const { agentLabels, allowEmulation, tags } = build.spec;
  const demands = demandsOn(build.spec, task.platform);
  const found = task.attempts.findLast(({ error }) => error?.code === 'policy-refused')?.error;
  const refusing = agents.flatMap((agent) => {
    const offered = offers(agent, task.platform);
    const fits = offered === 'native' || (offered === 'emulated' && allowEmulation);
    const refused = refusalsOf(agent, demands);
    const isMeant = hasLabels(agent, agentLabels) && mayPush(agent, tags);
    return fits && isMeant && refused.length > 0 ? [{ name: agent.facts.name, refused }] : [];
  });
  if (refusing.length === 0) return found && fromErrorInfo(found);
  const [first] = refusing;
  const named = refusing
    .slice(0, namedAgents)
    .map(({ name, refused }) => `${name} refuses ${refused.join(', ')}`);
  const more = refusing.length - named.length;
  return new ArchfarmError(
    'policy-refused',
    `no agent for ${task.platform} allows ${describeDemands(first?.refused ?? [])}: ${[...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}`,
    {
      hint: `where its owner trusts this build: archfarm-agent run ${allowFlag(first?.refused ?? [])} on ${first?.name}`,
    },
  );
}

function hintFor({ build, task: { platform } }: Wait, agents: readonly Agent[]): string {
  const { agentLabels, allowEmulation, tags } = build.spec;
  const candidates = agents.filter((agent) => offers(agent, platform) !== undefined);
  const offering = candidates.filter((agent) => mayPush(agent, tags));
  if (candidates.length > 0 && offering.length === 0) {
    return `${candidates[0]?.facts.name} may not push there: archfarm agents add --allow-push said where it may`;
  }
  const labelled = offering.filter((agent) => hasLabels(agent, agentLabels));
  if (offering.length > 0 && labelled.length === 0) {
    return `an agent gets labels from archfarm-agent run --label, a build asks for them with --agent-label`;
  }
  const emulating = labelled.find((agent) => offers(agent, platform) === 'emulated');
  if (emulating === undefined || allowEmulation)
    return `start archfarm-agent on a ${platform} host, or leave ${platform} out of --platform`;
  return `agent ${emulating.facts.name} emulates ${platform}: --allow-emulation lets it build`;
}

function describe(state: FarmState, agents: readonly Agent[], at: number): string {
  const named = agents.slice(0, namedAgents).map((agent) => {
    const view = viewOf(agent, state.timers, at);
    const { repositories = [] } = agent.facts;
    const offered = view.platforms.map(({ platform, native }) =>
      native ? platform : `${platform} emulated`,
    );
    const labels = formatLabels(view.labels);
    const details = [
      ...offered,
      ...(labels === '' ? [] : [labels]),
      ...(repositories.length === 0 ? [] : [`pushes to ${repositories.join(' and ')} alone`]),
      ...(view.state === 'ready' ? [] : [view.state, ...(view.reason ? [view.reason] : [])]),
    ];
    return `${view.name} (${details.join(', ')})`;
  });
  const more = agents.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

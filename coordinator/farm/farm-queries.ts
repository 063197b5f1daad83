/** What can be asked of the farm: builds, whether they go on or have ended, and agents. */
import type { AttemptId } from '../../shared/attempt.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { Timers } from '../../shared/timers.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { ListOptions, Store } from '../store/store.ts';
import { viewOf } from './agent-state.ts';
import type { AgentView } from './agent-state.ts';
import { isSettled, type Attempt } from './build-state.ts';
import type { Effect, FarmEvent, NewBuild, Origin, Remains } from './events.ts';
import { couldCount, createState, findAttempt, isWanted } from './farm-state.ts';
import type { FarmState } from './farm-state.ts';
import { loadOf, type FarmLoad } from './load.ts';
import { OfferedBuilds } from './offered-builds.ts';
import { resultOf } from './result.ts';
import { Roster } from './roster.ts';
import { apply } from './state.ts';
import { summaryOf, type BuildSummary } from './summary.ts';

export interface QueryOptions {
  readonly store: Store;
  readonly timers: Timers;
  /** Milliseconds since 1970. By default steady: setting the host's clock does not move it. */
  readonly now?: () => number;
}

export class FarmQueries {
  protected readonly store: Store;
  protected readonly timers: Timers;
  protected state: FarmState;
  /** Ended builds that are not archived yet. */
  protected readonly ended = new Map<string, Extract<Effect, { type: 'finished' }>>();
  /** Milliseconds that the farm's time is ahead of the clock it was given. */
  protected ahead = 0;
  readonly #now: () => number;
  readonly #offered = new OfferedBuilds();

  constructor({ store, timers, now = steadyNow }: QueryOptions) {
    this.store = store;
    this.timers = timers;
    this.#now = now;
    this.state = createState({ timers, startedAt: now() });
  }

  /** Time as the farm counts it, and as every event given to it must. */
  get now(): number {
    return this.#now() + this.ahead;
  }

  /** Builds of which no agent has begun anything, by client. */
  queuedBy(): Map<string, number> {
    const queued = new Map<string, number>();
    for (const { status, client } of this.state.builds.values()) {
      if (status === 'queued') queued.set(client, (queued.get(client) ?? 0) + 1);
    }
    return queued;
  }

  async build(id: string): Promise<BuildResult | undefined> {
    return this.#current(id) ?? (await this.store.build(id));
  }

  /** How a build ended whose log needs nothing more of the farm; undefined for others. */
  archived(id: string): Promise<BuildResult | undefined> {
    return this.store.build(id);
  }

  /** The build that was submitted with this key. */
  submittedWith(key: string): Promise<string | undefined> {
    return this.store.findByIdempotencyKey(key);
  }

  /** At most two ids, ended or not, that begin with `prefix`. */
  find(prefix: string): Promise<string[]> {
    return this.store.find(prefix);
  }

  /** Whether the build goes on. */
  isOpen(build: string): boolean {
    return this.state.builds.has(build);
  }

  /** Whether what this agent says of the attempt matters: it frees a slot, or could still bring an image. */
  wants(attempt: AttemptId, agent: string): boolean {
    return isWanted(this.state, { attempt, agent });
  }

  /** Whether a result of this attempt could still count: only then it may be told secrets and tokens. */
  counts(attempt: AttemptId, agent: string): boolean {
    return couldCount(this.state, { attempt, agent });
  }

  /** The agent that has or had it, while its build goes on. */
  agentOf(attempt: AttemptId): string | undefined {
    return findAttempt(this.state, attempt)?.attempt.agent;
  }

  /** The agent of an attempt whose result could still count. */
  holder(attempt: AttemptId): string | undefined {
    const agent = this.agentOf(attempt);
    return agent !== undefined && this.counts(attempt, agent) ? agent : undefined;
  }

  /** What was asked for; undefined for a build that has ended. */
  spec(id: string): BuildSpec | undefined {
    return this.state.builds.get(id)?.spec;
  }

  /** Who submitted it; undefined for a build that has ended. */
  clientOf(id: string): string | undefined {
    return this.state.builds.get(id)?.client;
  }

  /** The builds that go on, as they were submitted; one that is just being stored may come twice. */
  submitted(): readonly NewBuild[] {
    return [...this.state.builds.values()];
  }

  /** What a build that goes on goes on from, if anything. */
  origin(id: string): Origin | undefined {
    return this.state.builds.get(id)?.origin;
  }

  /** Of a build that has ended; undefined too for one that an older archfarm archived. */
  async remains(id: string): Promise<Remains | undefined> {
    return this.ended.get(id)?.remains ?? (await this.store.remains(id));
  }

  /** The latest build that published this tag, written in full. */
  publisher(tag: string): Promise<string | undefined> {
    return this.store.publisher(tag);
  }

  /** Platforms of the build's tasks that have not ended; none of a build that has. */
  openTasks(id: string): string[] {
    const tasks = [...(this.state.builds.get(id)?.tasks.values() ?? [])];
    return tasks.filter((task) => !isSettled(task)).map(({ platform }) => platform);
  }

  /** The builds that an agent has attempts of. */
  buildsOn(agent: string): string[] {
    return this.#offered
      .of(agent)
      .filter((id) =>
        [...(this.state.builds.get(id)?.tasks.values() ?? [])].some(
          (task) =>
            !isSettled(task) && task.attempts.some((attempt) => attempt.agent === agent && !attempt.isVoid),
        ),
      );
  }

  /** Agents that somebody drained, or that have had a part in builds that go on. */
  remembered(): Set<string> {
    const tasks = [...this.state.builds.values()].flatMap((build) => [...build.tasks.values()]);
    const workers = tasks.flatMap(({ attempts }) => attempts.map(({ agent }) => agent));
    return new Set([...this.drainedAgents(), ...workers]);
  }

  /** What it was offered or works on. */
  workOf(agent: string): AttemptId[] {
    return this.attemptsOf(agent).flatMap(({ id, status }) =>
      status === 'offered' || status === 'running' ? [id] : [],
    );
  }

  /** All that it ever had in builds that go on, and that may count. */
  protected attemptsOf(agent: string): Attempt[] {
    const builds = this.#offered.of(agent).flatMap((id) => this.state.builds.get(id) ?? []);
    const attempts = builds.flatMap(({ tasks }) => [...tasks.values()].flatMap((task) => task.attempts));
    return attempts.filter((attempt) => attempt.agent === agent && !attempt.isVoid);
  }

  /** Newest first, whether ended or not. */
  async builds(options: ListOptions): Promise<BuildResult[]> {
    const { limit, before, status } = options;
    const archived = await this.store.builds(options);
    const states = [
      ...[...this.ended].map(([id, { result }]) => [id, result.status] as const),
      ...[...this.state.builds].map(([id, build]) => [id, build.status] as const),
    ];
    const current = states
      .filter(
        ([id, state]) => (before === undefined || id < before) && (status === undefined || state === status),
      )
      .map(([id]) => id)
      .toSorted(newestFirst)
      // A result is made of much: only what is asked for is made.
      .slice(0, limit)
      .flatMap((id) => this.#current(id) ?? []);
    const all = new Map([...archived, ...current].map((result) => [result.build, result]));
    return [...all.values()].toSorted((a, b) => newestFirst(a.build, b.build)).slice(0, limit);
  }

  load(): FarmLoad {
    return loadOf(this.state);
  }

  /** Those that go on, in order of submission. */
  summaries(): BuildSummary[] {
    const roster = new Roster(this.state, this.now);
    return [...this.state.builds.values()].map((build) => summaryOf(build, roster));
  }

  /** Names of those that were told to take no new work, whether they are here or not. */
  drainedAgents(): string[] {
    return [...this.state.standings].filter(([, { drained }]) => drained !== undefined).map(([name]) => name);
  }

  agents(): AgentView[] {
    const views = [...this.state.agents.values()].map((agent) => viewOf(agent, this.timers, this.now));
    return views.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The next step of the state machine. */
  protected step(event: FarmEvent): Effect[] {
    if (event.type === 'offered' && this.isOpen(event.attempt.build)) {
      this.#offered.note(event.agent, event.attempt);
    }
    const effects = apply(this.state, event);
    for (const effect of effects) if (effect.type === 'finished') this.#offered.forget(effect.build);
    return effects;
  }

  #current(id: string): BuildResult | undefined {
    const build = this.state.builds.get(id);
    return build === undefined ? this.ended.get(id)?.result : resultOf(build, { at: this.now });
  }
}

function newestFirst(left: string, right: string): number {
  return left < right ? 1 : -1;
}

/** Wall time at the start of the process, and steady from there. */
function steadyNow(): number {
  return Math.round(performance.timeOrigin + performance.now());
}

/**
 * The farm at work: stores each event before it has consequences, runs the state machine over it, hands the
 * effects on in order, and asks the scheduler what is next.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AttemptId } from '../../shared/attempt.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { Timers } from '../../shared/timers.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { ListOptions, Store } from '../store/store.ts';
import { viewOf } from './agent-state.ts';
import type { AgentView } from './agent-state.ts';
import { newBuildId } from './build-id.ts';
import { isSettled } from './build-state.ts';
import { isDurable } from './events.ts';
import type { DurableEvent, Effect, FarmEvent, NewBuild, Origin, Remains, VolatileEvent } from './events.ts';
import { couldCount, createState, isWanted } from './farm-state.ts';
import type { FarmState } from './farm-state.ts';
import { resultOf } from './result.ts';
import { decide } from './scheduler.ts';
import { apply, unfinishedWork } from './state.ts';

type EffectOf<Type extends Effect['type']> = Extract<Effect, { type: Type }>;

/** What the farm has done by others. Long work is only begun here: its outcome comes back as an event. */
export interface EffectHandlers {
  offer(effect: EffectOf<'offer'>): void;
  cancel(effect: EffectOf<'cancel'>): void;
  verify(effect: EffectOf<'verify'>): void;
  publish(effect: EffectOf<'publish'>): void;
  notify(effect: EffectOf<'notify'>): void;
  settle(effect: EffectOf<'settle'>): void;
  /** The build is archived after this; called again when it threw, and after a restart in between. */
  finished(effect: EffectOf<'finished'>): void;
  /** Something that the farm could not do and goes on without: storing, archiving, an effect. */
  trouble(thrown: unknown): void;
}

export interface FarmOptions {
  readonly store: Store;
  readonly handlers: EffectHandlers;
  readonly timers: Timers;
  /** Milliseconds since 1970. By default steady: setting the host's clock does not move it. */
  readonly now?: () => number;
}

export interface SubmitOptions {
  readonly client: string;
  readonly idempotencyKey?: string | undefined;
  /** Called with the new id before anything is asked for on its behalf; not for a build that was there already. */
  readonly onId?: (build: string) => void;
  readonly origin?: NewBuild['origin'];
  readonly carried?: NewBuild['carried'];
}

interface Queued {
  readonly event: FarmEvent;
  readonly done: (failure?: unknown) => void;
}

export class Farm implements AsyncDisposable {
  readonly #store: Store;
  readonly #handlers: EffectHandlers;
  readonly #timers: Timers;
  readonly #now: () => number;
  /** Submissions by key whose event is not stored yet. */
  readonly #submitting = new Map<string, Promise<string>>();
  /** Ended builds that are not archived yet. */
  readonly #ended = new Map<string, EffectOf<'finished'>>();
  #state: FarmState;
  #sequence = 0;
  #queue: Queued[] = [];
  #work: Promise<void> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ store, handlers, timers, now = steadyNow }: FarmOptions) {
    this.#store = store;
    this.#handlers = handlers;
    this.#timers = timers;
    this.#now = now;
    this.#state = createState({ timers, startedAt: now() });
  }

  /** Takes up the builds that had not ended, and begins again what was under way. To be called once, first. */
  async restore(): Promise<void> {
    const { events, sequence, published } = await this.#store.load();
    this.#sequence = sequence;
    this.#state = createState({ timers: this.#timers, startedAt: this.#now(), published });
    for (const event of events) {
      for (const effect of apply(this.#state, event)) {
        // Followers have seen the rest.
        if (effect.type === 'finished') this.#perform(effect);
      }
    }
    await this.#archive();
    for (const effect of unfinishedWork(this.#state)) this.#perform(effect);
    this.#ticker = setInterval(() => this.tick(), this.#timers.tick);
    this.tick();
  }

  /** The build's id, once it is stored. `spec` names at least one platform and one tag. */
  async submit(spec: BuildSpec, options: SubmitOptions): Promise<string> {
    const { idempotencyKey } = options;
    if (idempotencyKey === undefined) return this.#submit(spec, options);
    const pending = this.#submitting.get(idempotencyKey);
    if (pending !== undefined) return pending;
    const submission = this.#submitOnce(spec, { ...options, idempotencyKey });
    this.#submitting.set(idempotencyKey, submission);
    try {
      return await submission;
    } finally {
      this.#submitting.delete(idempotencyKey);
    }
  }

  /** Resolves when the event is stored and its effects are handed on; rejects when it could not be stored. */
  record(event: DurableEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue({
        event,
        done: (failure) => (failure === undefined ? resolve() : reject(asError(failure))),
      });
    });
  }

  note(event: VolatileEvent): void {
    this.#enqueue({ event, done: () => {} });
  }

  /** A look at the deadlines; by itself every `timers.tick` milliseconds once restored. */
  tick(): void {
    this.note({ type: 'tick', at: this.#now() });
  }

  /** Time as the farm counts it, and as every event given to it must. */
  get now(): number {
    return this.#now();
  }

  async build(id: string): Promise<BuildResult | undefined> {
    return this.#current(id) ?? (await this.#store.build(id));
  }

  /** The build that was submitted with this key. */
  submittedWith(key: string): Promise<string | undefined> {
    return this.#store.findByIdempotencyKey(key);
  }

  /** At most two ids, ended or not, that begin with `prefix`. */
  find(prefix: string): Promise<string[]> {
    return this.#store.find(prefix);
  }

  /** Whether the build goes on. */
  isOpen(build: string): boolean {
    return this.#state.builds.has(build);
  }

  /** Whether what this agent says of the attempt matters: it frees a slot, or could still bring an image. */
  wants(attempt: AttemptId, agent: string): boolean {
    return isWanted(this.#state, { attempt, agent });
  }

  /** Whether a result of this attempt could still count: only then it may be told secrets and tokens. */
  counts(attempt: AttemptId, agent: string): boolean {
    return couldCount(this.#state, { attempt, agent });
  }

  /** What was asked for; undefined for a build that has ended. */
  spec(id: string): BuildSpec | undefined {
    return this.#state.builds.get(id)?.spec;
  }

  /** The builds that go on, as they were submitted. */
  submitted(): readonly Pick<NewBuild, 'id' | 'sequence' | 'spec' | 'client'>[] {
    return [...this.#state.builds.values()];
  }

  /** What a build that goes on goes on from, if anything. */
  origin(id: string): Origin | undefined {
    return this.#state.builds.get(id)?.origin;
  }

  /** Of a build that has ended; undefined too for one that an older archfarm archived. */
  async remains(id: string): Promise<Remains | undefined> {
    return this.#ended.get(id)?.remains ?? (await this.#store.remains(id));
  }

  /** The latest build that published this tag, written in full. */
  publisher(tag: string): Promise<string | undefined> {
    return this.#store.publisher(tag);
  }

  /** Platforms of the build's tasks that have not ended; none of a build that has. */
  openTasks(id: string): string[] {
    const tasks = [...(this.#state.builds.get(id)?.tasks.values() ?? [])];
    return tasks.filter((task) => !isSettled(task)).map(({ platform }) => platform);
  }

  /** The builds that an agent has attempts of. */
  buildsOn(agent: string): string[] {
    const builds = [...this.#state.builds.values()].filter(({ tasks }) =>
      [...tasks.values()].some(
        (task) => !isSettled(task) && task.attempts.some((attempt) => attempt.agent === agent),
      ),
    );
    return builds.map(({ id }) => id);
  }

  /** Newest first, whether ended or not. */
  async builds(options: ListOptions): Promise<BuildResult[]> {
    const { limit, before, status } = options;
    const archived = await this.#store.builds(options);
    const current = [...this.#ended.keys(), ...this.#state.builds.keys()]
      .flatMap((id) => this.#current(id) ?? [])
      .filter((result) => before === undefined || result.build < before)
      .filter((result) => status === undefined || result.status === status);
    const all = new Map([...archived, ...current].map((result) => [result.build, result]));
    return [...all.values()].toSorted((a, b) => (a.build < b.build ? 1 : -1)).slice(0, limit);
  }

  agents(): AgentView[] {
    const views = [...this.#state.agents.values()].map((agent) => viewOf(agent, this.#timers, this.#now()));
    return views.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Ends after what is in hand is stored. Builds go on at the next start; the store stays open. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#closed = true;
    await this.#work;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #submitOnce(spec: BuildSpec, options: SubmitOptions & { idempotencyKey: string }): Promise<string> {
    const known = await this.#store.findByIdempotencyKey(options.idempotencyKey);
    return known ?? this.#submit(spec, options);
  }

  async #submit(spec: BuildSpec, { onId, ...rest }: SubmitOptions): Promise<string> {
    const at = this.#now();
    const id = newBuildId(at);
    this.#sequence += 1;
    onId?.(id);
    const build = { id, sequence: this.#sequence, spec, ...rest };
    await this.record({ type: 'submitted', at, build });
    return id;
  }

  #current(id: string): BuildResult | undefined {
    const build = this.#state.builds.get(id);
    return build === undefined ? this.#ended.get(id)?.result : resultOf(build, { at: this.#now() });
  }

  #enqueue(queued: Queued): void {
    if (this.#closed) {
      queued.done(new ArchfarmError('coordinator-unreachable', 'the coordinator is shutting down'));
      return;
    }
    this.#queue.push(queued);
    this.#work ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      // What comes in the same turn of the event loop shares one transaction.
      await nextTurn();
      const batch = this.#queue;
      this.#queue = [];
      await this.#process(batch);
    }
    this.#work = undefined;
  }

  async #process(batch: readonly Queued[]): Promise<void> {
    const durable = batch.map(({ event }) => event).filter(isDurable);
    let failure: unknown;
    try {
      if (durable.length > 0) await this.#store.append(durable);
    } catch (thrown) {
      failure = thrown;
      this.#handlers.trouble(thrown);
    }
    let decidable = false;
    for (const { event, done } of batch) {
      if (failure !== undefined && isDurable(event)) {
        done(failure);
        continue;
      }
      done(this.#apply(event));
      decidable ||= changesPlans(event);
    }
    if (batch.some(({ event }) => event.type === 'tick' || isDurable(event))) await this.#archive();
    // While nothing can be stored, the next tick is soon enough to decide again; and what is queued may
    // already be the answer to what would be decided.
    if (decidable && failure === undefined && !this.#queue.some(({ event }) => isDurable(event)))
      this.#decide();
  }

  /** The error of an event that the state machine choked on: other builds must not suffer from it. */
  #apply(event: FarmEvent): unknown {
    try {
      for (const effect of apply(this.#state, event)) this.#perform(effect);
      return undefined;
    } catch (thrown) {
      this.#handlers.trouble(thrown);
      return thrown;
    }
  }

  #decide(): void {
    try {
      for (const event of decide(this.#state, this.#now())) this.#enqueue({ event, done: () => {} });
    } catch (thrown) {
      this.#handlers.trouble(thrown);
    }
  }

  #perform(effect: Effect): void {
    try {
      switch (effect.type) {
        case 'offer':
          return this.#handlers.offer(effect);
        case 'cancel':
          return this.#handlers.cancel(effect);
        case 'verify':
          return this.#handlers.verify(effect);
        case 'publish':
          return this.#handlers.publish(effect);
        case 'notify':
          return this.#handlers.notify(effect);
        case 'settle':
          return this.#handlers.settle(effect);
        case 'finished':
          return void this.#ended.set(effect.build, effect);
        default:
          return effect satisfies never;
      }
    } catch (thrown) {
      this.#handlers.trouble(thrown);
    }
  }

  /** The log's last frame comes before the archive: a build that is archived is never looked at again. */
  async #archive(): Promise<void> {
    for (const effect of this.#ended.values()) {
      try {
        this.#handlers.finished(effect);
        await this.#store.finish(effect.result, effect.remains);
        this.#ended.delete(effect.build);
      } catch (thrown) {
        this.#handlers.trouble(thrown);
      }
    }
  }
}

/** The many small signs of life change nothing that the next tick would not notice in time. */
function changesPlans(event: FarmEvent): boolean {
  return event.type !== 'heard' && event.type !== 'context-sent';
}

/** Wall time at the start of the process, and steady from there. */
function steadyNow(): number {
  return Math.round(performance.timeOrigin + performance.now());
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

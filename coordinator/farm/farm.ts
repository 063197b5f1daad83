/**
 * The farm at work: stores each event before it has consequences, runs the state machine over it, hands the
 * effects on in order, and asks the scheduler what is next.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { BuildSpec } from '../project/spec.ts';
import { AgentOrders } from './agent-orders.ts';
import { newBuildId } from './build-id.ts';
import { isDurable } from './events.ts';
import type { DurableEvent, Effect, FarmEvent, NewBuild, VolatileEvent } from './events.ts';
import type { QueryOptions } from './farm-queries.ts';
import { createState, forgetRows } from './farm-state.ts';
import { decide } from './scheduler.ts';
import { unfinishedWork } from './state.ts';
import { NotApplied } from './until-stored.ts';

type EffectOf<Type extends Effect['type']> = Extract<Effect, { type: Type }>;

/** What the farm has done by others. Long work is only begun here: its outcome comes back as an event. */
export interface EffectHandlers {
  offer(effect: EffectOf<'offer'>): void;
  cancel(effect: EffectOf<'cancel'>): void;
  verify(effect: EffectOf<'verify'>): void;
  publish(effect: EffectOf<'publish'>): void;
  prove(effect: EffectOf<'prove'>): void;
  notify(effect: EffectOf<'notify'>): void;
  settle(effect: EffectOf<'settle'>): void;
  /** The build is archived after this; called again when it threw, and after a restart in between. */
  finished(effect: EffectOf<'finished'>): void;
  /** Something that the farm could not do and goes on without: storing, archiving, an effect. `about`: with what. */
  trouble(thrown: unknown, about: readonly (FarmEvent | Effect)[]): void;
}

export interface FarmOptions extends QueryOptions {
  readonly handlers: EffectHandlers;
  /** Told of every build that ended, once it is archived. */
  readonly onArchived?: ((result: BuildResult) => void) | undefined;
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

export class Farm extends AgentOrders implements AsyncDisposable {
  readonly #handlers: EffectHandlers;
  readonly #onArchived: FarmOptions['onArchived'];
  /** Submissions by key whose event is not stored yet. */
  readonly #submitting = new Map<string, Promise<string>>();
  /** Builds that have their number, and are not stored yet. */
  readonly #numbered = new Set<NewBuild>();
  #sequence = 0;
  /** Ended builds whose logs are complete: archived with the next events that are stored. */
  readonly #announced = new Set<string>();
  #hasNewlyEnded = false;
  #queue: Queued[] = [];
  #work: Promise<void> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ handlers, onArchived, ...rest }: FarmOptions) {
    super(rest);
    this.#onArchived = onArchived;
    this.#handlers = handlers;
  }

  /** Takes up the builds that had not ended, and begins again what was under way. To be called once, first. */
  async restore(): Promise<void> {
    const { events, sequence, published, drained } = await this.store.load();
    this.#sequence = sequence;
    // A clock that was set back meanwhile would have all that is stored lie in the future, and hold up what waits.
    this.ahead = events.reduce((ahead, { at }) => Math.max(ahead, at - this.now), 0);
    this.state = createState({ timers: this.timers, startedAt: this.now, published, drained });
    for (const event of events) {
      for (const effect of this.step(event)) {
        // Followers have seen the rest.
        if (effect.type === 'finished') this.#perform(effect);
      }
    }
    forgetRows(this.state);
    this.#announce();
    await this.#process([]);
    for (const effect of unfinishedWork(this.state)) this.#perform(effect);
    this.#ticker = setInterval(() => this.tick(), this.timers.tick);
    this.tick();
  }

  override submitted(): readonly NewBuild[] {
    return [...super.submitted(), ...this.#numbered];
  }

  override submittedWith(key: string): Promise<string | undefined> {
    return this.#submitting.get(key) ?? super.submittedWith(key);
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

  /**
   * Resolves when the event is stored and its effects are handed on; rejects when it could not be stored, and with
   * `NotApplied` where it is of no use to store it again.
   */
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

  protected noted(event: VolatileEvent): Promise<void> {
    return new Promise((resolve) => this.#enqueue({ event, done: () => resolve() }));
  }

  /** A look at the deadlines; by itself every `timers.tick` milliseconds once restored. */
  tick(): void {
    this.note({ type: 'tick', at: this.now });
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
    const known = await this.store.findByIdempotencyKey(options.idempotencyKey);
    return known ?? this.#submit(spec, options);
  }

  async #submit(spec: BuildSpec, { onId, ...rest }: SubmitOptions): Promise<string> {
    const at = this.now;
    const id = newBuildId(at);
    this.#sequence += 1;
    onId?.(id);
    const build = { id, sequence: this.#sequence, spec, ...rest };
    this.#numbered.add(build);
    try {
      await this.record({ type: 'submitted', at, build });
    } finally {
      this.#numbered.delete(build);
    }
    return id;
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
    while (this.#queue.length > 0 || this.#hasNewlyEnded) {
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
    // What could not be archived waits for a tick.
    const isTime = this.#hasNewlyEnded || batch.some(({ event }) => event.type === 'tick');
    const ended = isTime ? [...this.#announced].flatMap((build) => this.ended.get(build) ?? []) : [];
    this.#hasNewlyEnded = false;
    let failure: unknown;
    try {
      if (durable.length > 0 || ended.length > 0) await this.store.append(durable, ended);
      for (const one of ended) this.#archived(one);
    } catch (thrown) {
      failure = thrown;
      this.#handlers.trouble(thrown, [...durable, ...ended]);
    }
    let decidable = false;
    for (const { event, done } of batch) {
      if (failure !== undefined && isDurable(event)) {
        done(failure);
        continue;
      }
      done(this.#take(event));
      decidable ||= changesPlans(event);
    }
    if (batch.some(({ event }) => event.type === 'tick' || isDurable(event))) this.#announce();
    // While nothing can be stored, the next tick is soon enough to decide again; and what is queued may
    // already be the answer to what would be decided.
    if (decidable && failure === undefined && !this.#queue.some(({ event }) => isDurable(event)))
      this.#decide();
  }

  /** The error of an event that the state machine choked on: other builds must not suffer from it. */
  #take(event: FarmEvent): unknown {
    try {
      for (const effect of this.step(event)) this.#perform(effect);
      return undefined;
    } catch (thrown) {
      this.#handlers.trouble(thrown, [event]);
      return new NotApplied(messageOf(thrown), { cause: thrown });
    }
  }

  #decide(): void {
    try {
      const at = this.now;
      // When this process was stopped after the last event, everybody seems silent: that is to be known first.
      if (at - this.state.clock > this.timers.pause) return this.tick();
      for (const event of decide(this.state, at)) this.#enqueue({ event, done: () => {} });
    } catch (thrown) {
      this.#handlers.trouble(thrown, []);
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
        case 'prove':
          return this.#handlers.prove(effect);
        case 'notify':
          return this.#handlers.notify(effect);
        case 'settle':
          return this.#handlers.settle(effect);
        case 'finished':
          return void this.ended.set(effect.build, effect);
        default:
          return effect satisfies never;
      }
    } catch (thrown) {
      this.#handlers.trouble(thrown, [effect]);
    }
  }

  /** The log's last frame comes before the archive: a build that is archived is never looked at again. */
  #announce(): void {
    for (const effect of this.ended.values()) {
      if (this.#announced.has(effect.build)) continue;
      try {
        this.#handlers.finished(effect);
        this.#announced.add(effect.build);
        this.#hasNewlyEnded = true;
      } catch (thrown) {
        this.#handlers.trouble(thrown, [effect]);
      }
    }
  }

  #archived(ended: EffectOf<'finished'>): void {
    this.#announced.delete(ended.build);
    this.ended.delete(ended.build);
    try {
      this.#onArchived?.(ended.result);
    } catch (thrown) {
      this.#handlers.trouble(thrown, [ended]);
    }
  }
}

/** The many small signs of life change nothing that the next tick would not notice in time. */
function changesPlans(event: FarmEvent): boolean {
  return event.type !== 'heard' && event.type !== 'alive' && event.type !== 'context-sent';
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

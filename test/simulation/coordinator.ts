/**
 * The real state machine and scheduler, driven as the farm drives them: an event is stored, then applied, then its
 * effects happen. It is killed at any point of that; what was stored is all that its next life knows.
 */
import { isDurable } from '../../coordinator/farm/events.ts';
import type { Effect, FarmEvent } from '../../coordinator/farm/events.ts';
import { createState, forgetRows, isWanted } from '../../coordinator/farm/farm-state.ts';
import type { FarmState } from '../../coordinator/farm/farm-state.ts';
import { decide } from '../../coordinator/farm/scheduler.ts';
import { apply, unfinishedWork } from '../../coordinator/farm/state.ts';
import { ReceivedFrames } from '../../coordinator/server/received-frames.ts';
import { formatAttempt, parseAttempt } from '../../shared/attempt.ts';
import { defaultTimers as timers } from '../../shared/timers.ts';
import { describe, lasting } from './describe.ts';
import { Storage } from './storage.ts';
import { eventOf } from './events.ts';
import type { Untimed } from './events.ts';
import type { FromAgent, ToAgent } from './messages.ts';
import { Network } from './network.ts';
import type { Connection } from './network.ts';
import { Publisher } from './publisher.ts';
import type { World } from './world.ts';

type Doom = 'before it is stored' | 'before it is applied' | 'among its effects';

export class Coordinator {
  readonly network: Network;
  readonly storage: Storage;
  readonly #world: World;
  readonly #publisher: Publisher;
  #state: FarmState | undefined;
  readonly #members = new Map<string, { connection: Connection; heardAt: number }>();
  #frames = new ReceivedFrames();
  #life = 0;
  #doom: Doom | undefined;
  #unread: (() => void)[] | undefined;
  /** Its clock against the true one; set only while it is down, as its clock is steady. */
  #clockOffset = 0;
  /** By so much what is stored lay in the future when it started. */
  #ahead = 0;

  constructor(world: World) {
    this.#world = world;
    this.network = new Network(world, this);
    this.storage = new Storage();
    this.#publisher = new Publisher(world, {
      later: (milliseconds, work) => this.#later(milliseconds, work),
      tell: (event) => this.tell(event),
    });
  }

  get listening(): boolean {
    return this.#state !== undefined && this.#unread === undefined;
  }

  get agents(): FarmState['agents'] {
    return this.#state?.agents ?? new Map();
  }

  /** `before`: what the life before knew when it ended. */
  start(before?: FarmState): void {
    const { time, checker } = this.#world;
    const { published, drained } = this.storage;
    // As the farm itself does.
    this.#ahead = 0;
    let ahead = 0;
    for (const { at } of this.storage.events) ahead = Math.max(ahead, at - this.#now);
    this.#ahead = ahead;
    const state = createState({ timers, startedAt: this.#now, published, drained });
    checker.started(time.now);
    this.#state = state;
    this.#frames = new ReceivedFrames();
    for (const event of this.storage.events) {
      for (const effect of apply(state, event)) if (effect.type === 'finished') this.#perform(effect);
    }
    forgetRows(state);
    if (before !== undefined && lasting(state) !== lasting(before))
      checker.fail('restart', 'the new life knows something else than the old one had stored');
    for (const effect of unfinishedWork(state)) this.#perform(effect);
    this.#tick(this.#life);
  }

  /** At the next event that is stored. */
  killSoon(point: Doom): void {
    this.#doom = point;
  }

  pause(milliseconds: number): void {
    if (!this.listening) return;
    const unread: (() => void)[] = [];
    this.#unread = unread;
    this.#world.checker.excuse(milliseconds);
    const life = this.#life;
    this.#world.time.after(milliseconds, () => {
      if (life !== this.#life) return;
      this.#unread = undefined;
      this.#world.checker.awoke();
      for (const read of unread) if (life === this.#life) read();
    });
  }

  hear(connection: Connection, message: FromAgent): void {
    this.#read(() => {
      if (!connection.coordinatorOpen) return;
      if (message.type === 'hello') return this.#admit(connection, message);
      const name = connection.agent.facts.name;
      const member = this.#members.get(name);
      if (member?.connection !== connection) return;
      this.#world.checker.hosts.heard(name);
      member.heardAt = this.#world.time.now;
      this.#handle({ type: 'heard', agent: name, session: connection.session, at: this.#now });
      this.#message(connection, message);
    });
  }

  closed(connection: Connection): void {
    this.#read(() => {
      const agent = connection.agent.facts.name;
      if (this.#members.get(agent)?.connection !== connection) return;
      this.#members.delete(agent);
      this.#world.checker.hosts.gone(agent);
      this.tell({ type: 'agent-down', agent, session: connection.session });
    });
  }

  /** An event, and what the scheduler makes of it. False where the coordinator died of it. */
  tell(untimed: Untimed): boolean {
    const life = this.#life;
    this.#read(() => {
      this.#handle({ ...untimed, at: this.#now });
      for (let round = 0; ; round += 1) {
        if (round > 100) this.#world.checker.fail('progress', 'the scheduler decides without end');
        const state = this.#state;
        const due = state === undefined ? [] : decide(state, this.#now);
        if (due.length === 0) return;
        for (const event of due) this.#handle(event);
      }
    });
    return life === this.#life;
  }

  /** Somebody's order to an agent, which outlives the coordinator. */
  drain(agent: string, isDrained: boolean): void {
    if (!this.listening) return;
    if (isDrained) this.storage.drained.set(agent, { by: 'somebody', at: this.#now });
    else this.storage.drained.delete(agent);
    this.#world.checker.hosts.drained(agent, isDrained);
    if (isDrained) this.tell({ type: 'drained', agent, by: 'somebody' });
    else this.tell({ type: 'undrained', agent });
  }

  get #now(): number {
    return this.#world.time.now + this.#clockOffset + this.#ahead;
  }

  #read(work: () => void): void {
    if (this.#state === undefined) return;
    if (this.#unread === undefined) work();
    else this.#unread.push(work);
  }

  #admit(connection: Connection, hello: Extract<FromAgent, { type: 'hello' }>): void {
    const { facts } = hello;
    const earlier = this.#members.get(facts.name);
    const silent = this.#world.time.now - (earlier?.heardAt ?? 0);
    if (earlier !== undefined && earlier.connection.session !== connection.session && silent < timers.suspect)
      return this.network.closeByCoordinator(connection);
    if (earlier !== undefined) this.network.closeByCoordinator(earlier.connection);
    this.#members.set(facts.name, { connection, heardAt: this.#world.time.now });
    this.network.toAgent(connection, { type: 'welcome' });
    const open = hello.attempts.filter((name) => this.#wants(name, facts.name));
    const attempts = open.flatMap((name) => parseAttempt(name) ?? []);
    this.#world.checker.hosts.joined(facts.name, { state: hello.state, listed: open });
    // With the state in its hello, before anything is decided.
    this.#handle({ type: 'agent-up', agent: facts, attempts, at: this.#now });
    this.tell({ type: 'beat', agent: facts.name, session: facts.session, state: hello.state });
    for (const attempt of hello.attempts)
      if (!open.includes(attempt)) this.network.toAgent(connection, { type: 'settle', attempt });
    return undefined;
  }

  #message(connection: Connection, message: Exclude<FromAgent, { type: 'hello' }>): void {
    const agent = connection.agent.facts.name;
    if (message.type === 'beat') {
      this.network.toAgent(connection, { type: 'beat' });
      this.#world.checker.hosts.says(agent, message.state);
      return void this.tell({ type: 'beat', agent, session: connection.session, state: message.state });
    }
    const attempt = parseAttempt(message.attempt);
    if (attempt === undefined) return undefined;
    if (!this.#wants(message.attempt, agent)) {
      if (message.type !== 'decline')
        this.network.toAgent(connection, { type: 'settle', attempt: message.attempt });
      return undefined;
    }
    if (message.type === 'progress') {
      const { attempt: name, frame } = message;
      this.#handle({ type: 'alive', attempt, at: this.#now });
      this.#frames.note(attempt, frame);
      if (this.storage.appendFrame(name, frame)) this.#world.checker.frame(name, frame);
      return this.network.toAgent(connection, { type: 'acknowledge', attempt: name, frame });
    }
    if (message.type === 'report') {
      const stored = this.#frames.last(attempt);
      // It overtook its own log: the connection is cut, and all of it comes again.
      if (stored !== undefined && stored < message.lastFrame) {
        this.network.closeByCoordinator(connection);
        return this.closed(connection);
      }
    }
    this.tell(eventOf(attempt, message));
    return undefined;
  }

  #wants(name: string, agent: string): boolean {
    const attempt = parseAttempt(name);
    return attempt !== undefined && this.#state !== undefined && isWanted(this.#state, { attempt, agent });
  }

  #handle(event: FarmEvent): void {
    const state = this.#state;
    if (state === undefined) return;
    const durable = isDurable(event);
    const doom = durable ? this.#doom : undefined;
    if (doom === 'before it is stored') return this.#die(state);
    if (durable) {
      this.#world.trace('stored', () => describe(event));
      this.storage.append(event);
      this.#world.checker.stored(event, state);
    }
    const effects = apply(state, event);
    if (doom === 'before it is applied') return this.#die(state);
    const spared = doom === undefined ? effects.length : this.#world.random.between(0, effects.length + 1);
    for (const effect of effects.slice(0, spared)) this.#perform(effect);
    if (doom !== undefined) this.#die(state);
  }

  #perform(effect: Effect): void {
    const { checker, random } = this.#world;
    switch (effect.type) {
      case 'offer':
        checker.offered(effect);
        return this.#send(
          effect.agent,
          { type: 'offer', attempt: formatAttempt(effect.attempt) },
          effect.session,
        );
      case 'cancel':
      case 'settle':
        return this.#send(effect.agent, { type: effect.type, attempt: formatAttempt(effect.attempt) });
      case 'verify':
        checker.verifyAsked(formatAttempt(effect.attempt));
        return this.#publisher.verify(effect);
      case 'publish':
        checker.publishes(effect);
        if (random.chance(0.05)) {
          const error = { code: 'cancelled', message: 'cancelled too late' } as const;
          this.#later(random.between(1, 3000), () =>
            this.tell({ type: 'cancelled', build: effect.build, error }),
          );
        }
        return this.#publisher.publish(effect);
      case 'prove':
        return this.#publisher.prove(effect);
      case 'finished':
        checker.finished(effect.result);
        this.storage.finish(effect.result);
        return this.#frames.forget(effect.build);
      case 'notify':
        return checker.notified(effect.build);
      default:
        return effect satisfies never;
    }
  }

  #send(agent: string, message: ToAgent, session?: string): void {
    const connection = this.#members.get(agent)?.connection;
    if (connection === undefined || (session ?? connection.session) !== connection.session) return;
    this.network.toAgent(connection, message);
  }

  #later(milliseconds: number, work: () => void): void {
    const life = this.#life;
    this.#world.time.after(milliseconds, () => {
      if (life === this.#life) this.#read(work);
    });
  }

  #die(before: FarmState): void {
    const { time, random } = this.#world;
    this.#world.fault('coordinator killed', this.#doom);
    this.#doom = undefined;
    this.#state = undefined;
    this.#unread = undefined;
    this.#life += 1;
    this.#members.clear();
    this.network.cutAll();
    const down = random.between(100, random.chance(0.1) ? 120_000 : 5000);
    this.#world.checker.excuse(down);
    const jump = this.#world.strikes('clock jumped', 0.3) ? random.between(-60_000, 60_000) : 0;
    this.#world.checker.excuse(Math.abs(jump));
    time.after(down, () => {
      this.#clockOffset += jump;
      this.start(before);
    });
  }

  #tick(life: number): void {
    if (life !== this.#life) return;
    this.tell({ type: 'tick' });
    this.#world.time.after(timers.tick, () => this.#tick(life));
  }
}

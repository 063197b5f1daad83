/** An agent without an engine: it takes offers, works for a while, keeps its reports, and fails as hosts do. */
import type { AgentFacts } from '../../coordinator/farm/events.ts';
import { formatAttempt, parseAttempt } from '../../shared/attempt.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import { defaultTimers } from '../../shared/timers.ts';
import type { Outcome } from '../../shared/task.ts';
import { pushedBy } from './farm-fixtures.ts';
import type { Random } from './random.ts';
import type { SimulatedTime } from './simulated-time.ts';

export type FromAgent =
  | { readonly type: 'hello'; readonly facts: AgentFacts; readonly attempts: readonly AttemptId[] }
  | { readonly type: 'beat' }
  | { readonly type: 'accept' | 'decline'; readonly attempt: AttemptId }
  | { readonly type: 'report'; readonly attempt: AttemptId; readonly outcome: Outcome };

export type ToSimulatedAgent = { readonly type: 'offer' | 'cancel' | 'settle'; readonly attempt: AttemptId };

export interface World {
  readonly time: SimulatedTime;
  readonly random: Random;
  /** False while nobody listens. */
  dial(agent: SimulatedAgent): boolean;
  send(agent: SimulatedAgent, message: FromAgent): void;
  hangUp(agent: SimulatedAgent): void;
}

export class SimulatedAgent {
  readonly facts: AgentFacts;
  readonly #world: World;
  /** By attempt: the session that runs it. A new process runs nothing. */
  readonly #jobs = new Map<string, string>();
  /** Reports that are not settled. They outlive the process. */
  readonly #journal = new Map<string, Outcome>();
  #session = 0;
  /** Counts connections; 0 while there is none. */
  connection = 0;
  #connections = 0;
  #cutAt = 0;
  #alive = false;

  constructor(world: World, facts: AgentFacts) {
    this.#world = world;
    this.facts = facts;
  }

  get session(): string {
    return `${this.facts.name}-${this.#session}`;
  }

  /** Runs no job and owes no report. */
  get isIdle(): boolean {
    return this.#jobs.size === 0 && this.#journal.size === 0;
  }

  start(): void {
    // Killed twice, it is started twice.
    if (this.#alive) return;
    this.#alive = true;
    this.#session += 1;
    this.#dial(this.#session);
  }

  /** The process dies; its host starts another one after a while. */
  kill(pause: number): void {
    this.#alive = false;
    this.#jobs.clear();
    this.#disconnect();
    this.#world.time.after(pause, () => this.start());
  }

  /** The connection breaks; work goes on until the agent has been alone for too long. */
  cut(pause: number): void {
    if (!this.#alive) return;
    this.#disconnect();
    this.#cutAt = this.#world.time.now;
    const session = this.#session;
    this.#world.time.after(pause, () => this.#dial(session));
    this.#world.time.after(defaultTimers.cutOff, () => this.#giveUp(session));
  }

  receive({ type, attempt }: ToSimulatedAgent): void {
    const name = formatAttempt(attempt);
    if (type === 'settle') return void this.#journal.delete(name);
    if (type === 'cancel') {
      if (this.#jobs.delete(name)) this.#report(name, { status: 'cancelled', reason: 'told to' });
      return;
    }
    // Offers can come twice.
    if (this.#jobs.has(name) || this.#journal.has(name)) return;
    const { random, time } = this.#world;
    if (random.chance(0.03)) return;
    if (random.chance(0.04)) return this.#send({ type: 'decline', attempt });
    this.#jobs.set(name, this.session);
    this.#send({ type: 'accept', attempt });
    time.after(random.between(500, 90_000), () => {
      if (this.#jobs.get(name) !== this.session) return;
      this.#jobs.delete(name);
      this.#report(name, this.#outcome(attempt));
    });
  }

  #outcome(attempt: AttemptId): Outcome {
    const { random } = this.#world;
    if (random.chance(0.88)) return { status: 'pushed', image: pushedBy(attempt) };
    const kind = random.chance(0.2) ? 'build' : 'infrastructure';
    const error = { code: kind === 'build' ? 'build-failed' : 'engine-error', message: 'simulated' } as const;
    return { status: 'failed', kind, error, timings: {}, sentBytes: 0 };
  }

  #dial(session: number): void {
    if (!this.#alive || session !== this.#session || this.connection !== 0) return;
    const { time, random } = this.#world;
    if (!this.#world.dial(this)) return time.after(random.between(500, 10_000), () => this.#dial(session));
    this.#connections += 1;
    this.connection = this.#connections;
    const names = [...this.#jobs.keys(), ...this.#journal.keys()];
    const attempts = names.flatMap((name) => parseAttempt(name) ?? []);
    this.#send({ type: 'hello', facts: { ...this.facts, session: this.session }, attempts });
    this.#beat(this.connection);
  }

  #beat(connection: number): void {
    if (connection !== this.connection) return;
    this.#send({ type: 'beat' });
    for (const name of this.#journal.keys()) this.#resend(name);
    const pause = defaultTimers.heartbeat * (0.9 + 0.2 * this.#world.random.next());
    this.#world.time.after(pause, () => this.#beat(connection));
  }

  #report(name: string, outcome: Outcome): void {
    this.#journal.set(name, outcome);
    this.#resend(name);
  }

  #resend(name: string): void {
    const attempt = parseAttempt(name);
    const outcome = this.#journal.get(name);
    if (attempt !== undefined && outcome !== undefined) this.#send({ type: 'report', attempt, outcome });
  }

  #giveUp(session: number): void {
    const { time } = this.#world;
    if (session !== this.#session || this.connection !== 0 || time.now - this.#cutAt < defaultTimers.cutOff)
      return;
    for (const name of this.#jobs.keys()) {
      this.#jobs.delete(name);
      this.#report(name, { status: 'cancelled', reason: 'cut off for too long' });
    }
  }

  #send(message: FromAgent): void {
    if (this.connection !== 0) this.#world.send(this, message);
  }

  #disconnect(): void {
    if (this.connection === 0) return;
    this.connection = 0;
    this.#world.hangUp(this);
  }
}

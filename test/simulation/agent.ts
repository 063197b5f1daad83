/**
 * An agent: its process, its engine and its host fail; its journal stays. Progress goes through the agent's own
 * outbox, and dialing waits as the agent's own does.
 */
import { Outbox } from '../../agent/outbox.ts';
import type { AgentFacts } from '../../coordinator/farm/events.ts';
import { parseAttempt } from '../../shared/attempt.ts';
import { Backoff } from '../../shared/backoff.ts';
import type { Outcome } from '../../shared/task.ts';
import { defaultTimers as timers } from '../../shared/timers.ts';
import { pushedBy } from '../support/farm-fixtures.ts';
import type { AgentState, FromAgent, ToAgent } from './messages.ts';
import type { Connection, Network } from './network.ts';
import type { World } from './world.ts';

interface Job {
  readonly outbox: Outbox;
  readonly startedAt: number;
}

export class SimulatedAgent {
  readonly facts: AgentFacts;
  readonly #world: World;
  readonly #network: () => Network;
  readonly #jobs = new Map<string, Job>();
  /** On disk: reports that are not settled. */
  readonly #journal = new Map<string, Outcome>();
  /** Outboxes of reports; gone with the process, as the jobs are. */
  readonly #reported = new Map<string, Outbox>();
  readonly #backoff: Backoff;
  #process = 0;
  #alive = false;
  #state: AgentState = 'ready';
  #connection: Connection | undefined;
  #welcomed = false;
  #heardAt = 0;
  #downSince = 0;

  constructor(world: World, facts: AgentFacts, network: () => Network) {
    this.#world = world;
    this.facts = facts;
    this.#network = network;
    this.#backoff = new Backoff({
      first: timers.reconnect,
      max: timers.reconnectMax,
      random: () => world.random.next(),
    });
  }

  get session(): string {
    return `${this.facts.name}-${this.#process}`;
  }

  /** Since when it hears the coordinator; undefined while it does not. */
  get connectedSince(): number | undefined {
    return this.#welcomed && this.#connection?.agentOpen === true ? this.#connectedSince : undefined;
  }

  #connectedSince = 0;

  /** Attempts at work. */
  get running(): ReadonlyMap<string, { readonly startedAt: number }> {
    return this.#jobs;
  }

  get unsettled(): number {
    return this.#journal.size;
  }

  start(): void {
    // Killed twice, it is started twice.
    if (this.#alive) return;
    this.#alive = true;
    this.#process += 1;
    this.#downSince = this.#world.time.now;
    this.#dial(this.#process);
    this.#watchCutOff(this.#process);
  }

  /** The process dies; its host starts another one after a while. */
  kill(pause: number): void {
    this.#alive = false;
    this.#jobs.clear();
    this.#reported.clear();
    this.#hangUp();
    this.#world.time.after(pause, () => this.start());
  }

  /** The engine dies and takes its builds along; the agent tells, and cordons itself until the engine is back. */
  killEngine(pause: number): void {
    if (!this.#alive || this.#state === 'cordoned') return;
    this.#setState('cordoned');
    for (const name of this.#jobs.keys()) this.#end(name, failure('infrastructure', 'engine-down'));
    this.#world.time.after(pause, () => this.#setState('ready'));
  }

  receive(connection: Connection, message: ToAgent): void {
    if (connection !== this.#connection) return;
    this.#heardAt = this.#world.time.now;
    switch (message.type) {
      case 'welcome':
        return this.#up();
      case 'beat':
        return undefined;
      case 'offer':
        return this.#offered(message.attempt);
      case 'cancel':
        return this.#end(message.attempt, { status: 'cancelled', reason: 'told to' });
      case 'settle':
        this.#journal.delete(message.attempt);
        this.#reported.delete(message.attempt);
        // A job that nobody needs any more ends, and its report is told to be settled in turn.
        return this.#end(message.attempt, { status: 'cancelled', reason: 'not needed' });
      case 'acknowledge':
        this.#jobs.get(message.attempt)?.outbox.acknowledge(message.frame);
        return this.#reported.get(message.attempt)?.acknowledge(message.frame);
      default:
        return message satisfies never;
    }
  }

  closed(connection: Connection): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    if (this.#welcomed) this.#downSince = this.#world.time.now;
    this.#welcomed = false;
    const process = this.#process;
    this.#world.time.after(this.#backoff.next(), () => this.#dial(process));
  }

  #dial(process: number): void {
    if (!this.#alive || process !== this.#process || this.#connection !== undefined) return;
    const connection = this.#network().dial(this);
    if (connection === undefined)
      return this.#world.time.after(this.#backoff.next(), () => this.#dial(process));
    this.#connection = connection;
    this.#heardAt = this.#world.time.now;
    const facts = { ...this.facts, session: this.session };
    const attempts = [...new Set([...this.#jobs.keys(), ...this.#journal.keys()])];
    this.#network().toCoordinator(connection, { type: 'hello', facts, attempts, state: this.#state });
    this.#beat(connection);
    return undefined;
  }

  #up(): void {
    this.#welcomed = true;
    this.#connectedSince = this.#world.time.now;
    this.#backoff.reset();
    for (const outbox of [...this.#reported.values(), ...[...this.#jobs.values()].map((job) => job.outbox)])
      outbox.resend();
    // Those of an earlier process: its progress is gone with it, so their reports wait for none.
    for (const [attempt, outcome] of this.#journal) {
      if (!this.#reported.has(attempt)) this.#send({ type: 'report', attempt, lastFrame: 0, outcome });
    }
  }

  #beat(connection: Connection): void {
    if (connection !== this.#connection) return;
    const { time, random } = this.#world;
    if (time.now - this.#heardAt > timers.lost) {
      this.#network().closeByAgent(connection);
      return this.closed(connection);
    }
    if (this.#welcomed) this.#send({ type: 'beat', state: this.#state });
    time.after(timers.heartbeat * (0.9 + 0.2 * random.next()), () => this.#beat(connection));
    return undefined;
  }

  #offered(attempt: string): void {
    if (this.#jobs.has(attempt) || this.#journal.has(attempt)) return this.#send({ type: 'accept', attempt });
    const full = this.#jobs.size >= this.facts.slots;
    if (full || this.#state !== 'ready' || this.#world.strikes('offer declined', 0.02))
      return this.#send({ type: 'decline', attempt });
    this.#send({ type: 'accept', attempt });
    return this.#run(attempt);
  }

  #run(attempt: string): void {
    const { time, random } = this.#world;
    const outbox = new Outbox({
      timers,
      later: (run, milliseconds) => {
        let calledOff = false;
        time.after(milliseconds, () => calledOff || run());
        return () => (calledOff = true);
      },
      send: (frame) => this.#send({ type: 'progress', attempt, frame }),
      ended: () => this.#sendReport(attempt),
    });
    const job = { outbox, startedAt: time.now };
    this.#jobs.set(attempt, job);
    const lasts = random.between(500, random.chance(0.05) ? 20 * 60_000 : 90_000);
    const lines = random.between(0, 6);
    for (let line = 1; line <= lines; line += 1) {
      time.after((lasts * line) / (lines + 1), () => {
        if (this.#jobs.get(attempt) !== job) return;
        outbox.push({ type: 'log', time: time.now, step: 's', stream: 'stdout', text: `${line}\n` });
      });
    }
    time.after(lasts, () => {
      if (this.#jobs.get(attempt) === job) this.#end(attempt, this.#outcome(attempt));
    });
  }

  #outcome(name: string): Outcome {
    const attempt = parseAttempt(name);
    if (attempt === undefined) throw new Error(`no attempt: ${name}`);
    if (this.#world.strikes('engine error', 0.05)) return failure('infrastructure', 'engine-error');
    if (this.#world.random.chance(0.03)) {
      this.#world.checker.faulty(name);
      return failure('build', 'build-failed');
    }
    const image = pushedBy(attempt);
    this.#world.checker.pushed(name, image.digest);
    return { status: 'pushed', image };
  }

  #end(attempt: string, outcome: Outcome): void {
    const job = this.#jobs.get(attempt);
    if (job === undefined) return;
    this.#jobs.delete(attempt);
    this.#journal.set(attempt, outcome);
    this.#reported.set(attempt, job.outbox);
    job.outbox.close(this.#world.time.now);
    job.outbox.end();
  }

  #sendReport(attempt: string): void {
    const outcome = this.#journal.get(attempt);
    const lastFrame = this.#reported.get(attempt)?.lastFrame;
    if (outcome === undefined || lastFrame === undefined) return;
    this.#send({ type: 'report', attempt, lastFrame, outcome });
  }

  #watchCutOff(process: number): void {
    if (!this.#alive || process !== this.#process) return;
    if (!this.#welcomed && this.#world.time.now - this.#downSince > timers.cutOff) {
      for (const name of this.#jobs.keys()) this.#end(name, { status: 'cancelled', reason: 'cut off' });
    }
    this.#world.time.after(15_000, () => this.#watchCutOff(process));
  }

  #setState(state: AgentState): void {
    this.#state = state;
    this.#send({ type: 'beat', state });
  }

  #send(message: FromAgent): void {
    if (this.#connection !== undefined && this.#welcomed)
      this.#network().toCoordinator(this.#connection, message);
  }

  #hangUp(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#welcomed = false;
    if (connection !== undefined) this.#network().closeByAgent(connection);
  }
}

function failure(
  kind: 'build' | 'infrastructure',
  code: 'engine-down' | 'engine-error' | 'build-failed',
): Outcome {
  return { status: 'failed', kind, error: { code, message: 'simulated' }, timings: {}, sentBytes: 0 };
}

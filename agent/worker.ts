/** Keeps the agent at work: takes offers while all is well, and ends what it does when it is told to. */
import { randomBytes } from 'node:crypto';
import { untilAborted, within } from '../shared/abort.ts';
import type { StoreUsage } from '../shared/context/store-usage.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import {
  PROTOCOL_VERSION,
  type AgentState,
  type Hello,
  type ToAgent,
  type ToCoordinator,
} from '../shared/messages.ts';
import type { ProcessUsage } from '../shared/process-usage.ts';
import type { ProofOrder } from '../shared/proof.ts';
import type { Task } from '../shared/task.ts';
import type { Timers } from '../shared/timers.ts';
import { version } from '../shared/version.ts';
import { Attempts, type JobStatus } from './attempts.ts';
import type { AgentConfig } from './config.ts';
import type { ContextLink } from './context-link.ts';
import type { EngineWatch } from './engine-watch.ts';
import type { Journal } from './journal.ts';
import { Link } from './link.ts';
import type { OwnImages } from './own-images.ts';
import { Proofs } from './proofs.ts';

export interface WorkerOptions {
  readonly config: AgentConfig;
  readonly timers: Timers;
  readonly engine: EngineWatch;
  readonly journal: Journal;
  readonly contexts: ContextLink;
  readonly images: OwnImages;
  /** Of this process, asked for with each beat. */
  readonly usage?: () => ProcessUsage;
  readonly log: Logger;
}

/** What `archfarm-agent status` shows. */
export interface WorkerStatus {
  readonly connected: boolean;
  readonly error: string;
  readonly state: AgentState;
  readonly reason?: string | undefined;
  readonly slots: number;
  readonly jobs: readonly JobStatus[];
  readonly unsettled: number;
  readonly contexts: StoreUsage;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #session = randomBytes(12).toString('base64url');
  readonly #attempts: Attempts;
  readonly #proofs: Proofs;
  readonly #link: Link;
  readonly #stop = new AbortController();
  #draining = false;
  #idle: (() => void) | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { config, timers, log, engine } = options;
    this.#link = new Link({
      coordinator: config.coordinator,
      token: config.token,
      trust: config.trust,
      timers,
      log,
      hello: () => this.#hello(),
      state: () => this.#news(),
      up: () => this.#attempts.resend(),
      down: () => void this.#proofs.stopAll(),
      message: (message) => this.#handle(message),
    });
    const ended = (): void => this.#checkIdle();
    this.#attempts = new Attempts({
      ...options,
      engine: engine.engine,
      send: (message) => this.#link.send(message),
      ended,
      outcome: (outcome) => {
        const isGone = outcome.status === 'failed' && outcome.error.code === 'engine-down';
        if (isGone) void engine.doubt(this.#stop.signal);
      },
    });
    this.#proofs = new Proofs({
      engine: engine.engine,
      timers,
      images: options.images,
      log,
      answer: (proof, outcome) => this.#link.send({ type: 'proved', proof, outcome }),
      ended,
    });
    engine.onChange((platformsChanged) => {
      if (platformsChanged) this.#link.redial('the engine offers other platforms');
      else this.#link.send({ type: 'beat', ...this.#news() });
    });
  }

  /** Has what is shown from now on count: the coordinator sees it at once, and what runs goes on. */
  showAgain(reason: string): void {
    this.#link.redial(reason);
  }

  /** Until `drain` or `abort` is through. Throws `agent-removed` where the coordinator wants this agent no more. */
  async run(): Promise<void> {
    const { timers } = this.#options;
    const watch = setInterval(() => this.#cancelWhenCutOff(), timers.tick);
    try {
      await this.#link.run(this.#stop.signal);
      await Promise.all([this.#attempts.over(), this.#proofs.stopAll()]);
    } catch (error) {
      await this.abort(messageOf(error));
      throw error;
    } finally {
      clearInterval(watch);
    }
  }

  /** Takes no more work, lets running jobs finish and their reports settle, then stops. */
  async drain(): Promise<void> {
    const { timers, log } = this.#options;
    this.#draining = true;
    log.info({ jobs: this.#attempts.running }, 'draining');
    this.#link.send({ type: 'beat', ...this.#news() });
    const settled = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.#checkIdle();
    const limits = { signal: this.#stop.signal, late: () => new Error('it takes longer than a drain may') };
    await within(timers.drain, limits, (limited) => untilAborted(settled, limited)).catch(() => {});
    await this.abort('the agent was told to stop');
  }

  /** Cancels what runs and stops. */
  async abort(reason: string): Promise<void> {
    // What is given up here may be offered again at once, and nobody would end it.
    this.#draining = true;
    await Promise.all([this.#attempts.abandon(reason), this.#proofs.stopAll()]);
    this.#stop.abort();
  }

  status(): WorkerStatus {
    return {
      connected: this.#link.up,
      error: this.#link.lastError,
      ...this.#state(),
      slots: this.#options.config.slots,
      jobs: this.#attempts.status,
      unsettled: this.#attempts.unsettled,
      contexts: this.#attempts.usage(),
    };
  }

  #state(): { state: AgentState; reason?: string } {
    if (this.#draining) return { state: 'draining', reason: 'the agent is stopping' };
    const trouble = this.#options.engine.trouble;
    return trouble === undefined ? { state: 'ready' } : { state: 'cordoned', reason: trouble };
  }

  #news(): Omit<Extract<ToCoordinator, { type: 'beat' }>, 'type'> {
    const { engine, usage } = this.#options;
    const { disks } = engine;
    return { ...this.#state(), contexts: this.#attempts.usage(), disks, usage: usage?.() };
  }

  #hello(): Hello {
    const { config, engine } = this.#options;
    return {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      version,
      name: config.name,
      session: this.#session,
      platforms: engine.platforms,
      slots: config.slots,
      weight: config.weight,
      labels: config.labels,
      policy: config.policy,
      engine: { version: engine.version, apiVersion: engine.apiVersion },
      ...this.#state(),
      attempts: this.#attempts.names,
    };
  }

  #handle(message: ToAgent): void {
    const attempts = this.#attempts;
    switch (message.type) {
      case 'offer':
        return this.#offered(message.attempt, message.task);
      case 'cancel':
        return attempts.cancel(message.attempt, message.reason);
      case 'acknowledge':
        return attempts.acknowledge(message.attempt, message.frame);
      case 'answer':
        return attempts.questions.answer(message.attempt, message.ask, message.answer);
      case 'settle':
        return attempts.settle(message.attempt);
      case 'prove':
        return this.#askedToProve(message.proof, message.order);
      case 'stop-proof':
        return this.#proofs.stop(message.proof);
      case 'welcome':
      case 'beat':
        return undefined;
      default:
        return message satisfies never;
    }
  }

  #offered(attempt: string, task: Task): void {
    // The coordinator did not hear the first answer.
    if (this.#attempts.has(attempt)) return this.#link.send({ type: 'accept', attempt });
    const busy = this.#attempts.running >= this.#options.config.slots ? 'all slots are busy' : undefined;
    const refusal = this.#refusal() ?? busy;
    if (refusal !== undefined) return this.#link.send({ type: 'decline', attempt, reason: refusal });
    this.#link.send({ type: 'accept', attempt });
    this.#attempts.start(attempt, task);
  }

  /** Beside the slots: a build that waits for its proof must not wait for other builds. */
  #askedToProve(proof: string, order: ProofOrder): void {
    const refusal = this.#refusal();
    if (refusal === undefined) this.#proofs.start(proof, order);
    else this.#proofs.refuse(proof, refusal);
  }

  #refusal(): string | undefined {
    const { state, reason = 'not ready' } = this.#state();
    return state === 'ready' ? undefined : reason;
  }

  #checkIdle(): void {
    // Reports are in the journal: without a coordinator to take them there is nothing to wait for.
    const nothingToTell = this.#attempts.unsettled === 0 || !this.#link.up;
    if (this.#attempts.running === 0 && this.#proofs.size === 0 && nothingToTell) this.#idle?.();
  }

  #cancelWhenCutOff(): void {
    this.#checkIdle();
    if (this.#link.downFor() <= this.#options.timers.cutOff) return;
    void this.#attempts.abandon('the coordinator was out of reach for too long');
  }
}

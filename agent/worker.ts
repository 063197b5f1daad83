/** Keeps the agent's work: takes offers, runs jobs, sends their progress and reports until they are settled. */
import { randomBytes } from 'node:crypto';
import { untilAborted } from '../shared/abort.ts';
import type { StoreUsage } from '../shared/context/store-usage.ts';
import { ArchfarmError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { PROTOCOL_VERSION, type AgentState, type Hello, type ToAgent } from '../shared/messages.ts';
import type { Outcome, Task } from '../shared/task.ts';
import type { Timers } from '../shared/timers.ts';
import { version } from '../shared/version.ts';
import type { AgentConfig } from './config.ts';
import type { ContextLink } from './context-link.ts';
import type { EngineWatch } from './engine-watch.ts';
import { IdleMemory } from './idle-memory.ts';
import { runJob } from './job.ts';
import type { Journal } from './journal.ts';
import { Link } from './link.ts';
import { Outbox } from './outbox.ts';
import { Questions } from './questions.ts';
import { Selections } from './selections.ts';
import { openSshTunnel } from './ssh-tunnel.ts';

export interface WorkerOptions {
  readonly config: AgentConfig;
  readonly timers: Timers;
  readonly engine: EngineWatch;
  readonly journal: Journal;
  readonly contexts: ContextLink;
  readonly log: Logger;
}

interface Job {
  readonly task: Task;
  readonly cancel: AbortController;
  readonly outbox: Outbox;
  readonly selections: Selections;
  readonly startedAt: number;
  done: Promise<void>;
}

/** What `archfarm-agent status` shows. */
export interface WorkerStatus {
  readonly connected: boolean;
  readonly error: string;
  readonly state: AgentState;
  readonly reason?: string | undefined;
  readonly slots: number;
  readonly jobs: readonly { readonly attempt: string; readonly image: string; readonly seconds: number }[];
  readonly unsettled: number;
  readonly contexts: StoreUsage;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #session = randomBytes(12).toString('base64url');
  readonly #jobs = new Map<string, Job>();
  /** Outboxes of reports that are sent but not settled. */
  readonly #reported = new Map<string, Outbox>();
  readonly #memory = new IdleMemory();
  readonly #questions: Questions;
  readonly #link: Link;
  readonly #stop = new AbortController();
  #draining = false;
  #idle: (() => void) | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { config, timers, log } = options;
    this.#link = new Link({
      coordinator: config.coordinator,
      token: config.token,
      timers,
      log,
      hello: () => this.#hello(),
      state: () => this.#news(),
      up: () => this.#up(),
      message: (message) => this.#handle(message),
    });
    this.#questions = new Questions((attempt, ask, question) =>
      this.#link.send({ type: 'ask', attempt, ask, question }),
    );
    options.engine.onChange((platformsChanged) => {
      if (platformsChanged) this.#link.redial('the engine offers other platforms');
      else this.#link.send({ type: 'beat', ...this.#news() });
    });
  }

  /** Until `drain` or `abort` is through. */
  async run(): Promise<void> {
    const { timers } = this.#options;
    const watch = setInterval(() => this.#cancelWhenCutOff(), timers.tick);
    try {
      await this.#link.run(this.#stop.signal);
      await Promise.all([...this.#jobs.values()].map((job) => job.done));
    } finally {
      clearInterval(watch);
    }
  }

  /** Takes no more work, lets running jobs finish and their reports settle, then stops. */
  async drain(): Promise<void> {
    const { timers, log } = this.#options;
    this.#draining = true;
    log.info({ jobs: this.#jobs.size }, 'draining');
    this.#link.send({ type: 'beat', ...this.#news() });
    const settled = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.#checkIdle();
    await untilAborted(
      settled,
      AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timers.drain)]),
    ).catch(() => {});
    await this.abort('the agent was told to stop');
  }

  /** Cancels what runs and stops. */
  async abort(reason: string): Promise<void> {
    const jobs = [...this.#jobs.values()];
    // What is given up here may be offered again at once, and nobody would end it.
    this.#draining = true;
    for (const job of jobs) job.cancel.abort(new ArchfarmError('agent-lost', reason));
    await Promise.all(jobs.map((job) => job.done));
    this.#stop.abort();
  }

  status(): WorkerStatus {
    const { config } = this.#options;
    return {
      connected: this.#link.up,
      error: this.#link.lastError,
      ...this.#state(),
      slots: config.slots,
      jobs: [...this.#jobs].map(([attempt, job]) => ({
        attempt,
        image: job.task.image,
        seconds: Math.round((Date.now() - job.startedAt) / 1000),
      })),
      unsettled: this.#options.journal.pending.size,
      contexts: this.#options.contexts.usage(),
    };
  }

  #state(): { state: AgentState; reason?: string } {
    if (this.#draining) return { state: 'draining', reason: 'the agent is stopping' };
    const trouble = this.#options.engine.trouble;
    return trouble === undefined ? { state: 'ready' } : { state: 'cordoned', reason: trouble };
  }

  #news(): { state: AgentState; reason?: string; contexts: StoreUsage } {
    return { ...this.#state(), contexts: this.#options.contexts.usage() };
  }

  #hello(): Hello {
    const { config, engine, journal } = this.#options;
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
      engine: { version: engine.version, apiVersion: engine.apiVersion },
      ...this.#state(),
      attempts: [...new Set([...this.#jobs.keys(), ...journal.pending.keys()])],
    };
  }

  /** Whatever the coordinator may have missed is said again; it knows repeats by their numbers. */
  #up(): void {
    for (const outbox of [...this.#reported.values(), ...[...this.#jobs.values()].map((job) => job.outbox)])
      outbox.resend();
    for (const { selections } of this.#jobs.values()) selections.resend();
    this.#questions.resend();
    // Those of an earlier process: its progress is gone with it, so their reports wait for none.
    for (const [attempt, outcome] of this.#options.journal.pending) {
      if (!this.#reported.has(attempt)) this.#link.send({ type: 'report', attempt, lastFrame: 0, outcome });
    }
  }

  #handle(message: ToAgent): void {
    switch (message.type) {
      case 'offer':
        return this.#offered(message.attempt, message.task);
      case 'cancel':
        return this.#jobs.get(message.attempt)?.cancel.abort(new ArchfarmError('cancelled', message.reason));
      case 'acknowledge':
        this.#jobs.get(message.attempt)?.outbox.acknowledge(message.frame);
        return this.#reported.get(message.attempt)?.acknowledge(message.frame);
      case 'answer':
        return this.#questions.answer(message.attempt, message.ask, message.answer);
      case 'settle':
        return this.#settled(message.attempt);
      case 'welcome':
      case 'beat':
        return undefined;
      default:
        return message satisfies never;
    }
  }

  #offered(attempt: string, task: Task): void {
    const { journal, config } = this.#options;
    // The coordinator did not hear the first answer.
    if (this.#jobs.has(attempt) || journal.pending.has(attempt))
      return this.#link.send({ type: 'accept', attempt });
    const { state, reason = 'not ready' } = this.#state();
    const refusal =
      state !== 'ready' ? reason : this.#jobs.size >= config.slots ? 'all slots are busy' : undefined;
    if (refusal !== undefined) return this.#link.send({ type: 'decline', attempt, reason: refusal });
    this.#link.send({ type: 'accept', attempt });
    this.#start(attempt, task);
  }

  #start(attempt: string, task: Task): void {
    const { timers, engine, contexts, config, log } = this.#options;
    const cancel = new AbortController();
    const outbox = new Outbox({
      timers,
      send: (frame, events) => this.#link.send({ type: 'progress', attempt, frame, events }),
      ended: () => this.#sendReport(attempt),
    });
    const selections = new Selections((tree, selection) =>
      this.#link.send({ type: 'selected', attempt, tree, selection }),
    );
    const context = contexts.forJob();
    const services = {
      engine: engine.engine,
      context,
      ask: (question: Parameters<Questions['ask']>[1], signal: AbortSignal) =>
        this.#questions.ask(attempt, question, signal),
      ssh: (id: string, signal: AbortSignal) => openSshTunnel({ config, attempt, id }, signal),
    };
    log.info({ attempt, image: task.image }, 'attempt started');
    const run = async (): Promise<void> => {
      const options = {
        signal: cancel.signal,
        onEvent: outbox.push.bind(outbox),
        onSelection: selections.add.bind(selections),
      };
      const outcome = await runJob(task, services, options);
      context[Symbol.dispose]();
      outbox.close(Date.now());
      log.info(
        { attempt, status: outcome.status, error: outcome.status === 'failed' ? outcome.error : undefined },
        'attempt ended',
      );
      await this.#report(attempt, outbox, outcome);
    };
    const job: Job = { task, cancel, outbox, selections, startedAt: Date.now(), done: Promise.resolve() };
    this.#jobs.set(attempt, job);
    this.#memory.jobs(this.#jobs.size);
    job.done = run().catch((error: unknown) =>
      log.error({ attempt, err: error }, 'the attempt could not be reported'),
    );
  }

  async #report(attempt: string, outbox: Outbox, outcome: Outcome): Promise<void> {
    const { journal, log } = this.#options;
    this.#reported.set(attempt, outbox);
    try {
      await journal.add(attempt, outcome);
    } catch (error) {
      // The report still counts if it arrives; only a restart before that would lose it.
      log.error({ attempt, err: error }, 'the report could not be written to the journal');
    }
    this.#jobs.delete(attempt);
    this.#memory.jobs(this.#jobs.size);
    outbox.end();
    // It may have been settled while it was written.
    this.#checkIdle();
  }

  #sendReport(attempt: string): void {
    const outcome = this.#options.journal.pending.get(attempt);
    const lastFrame = this.#reported.get(attempt)?.lastFrame;
    if (outcome === undefined || lastFrame === undefined) return;
    this.#link.send({ type: 'report', attempt, lastFrame, outcome });
  }

  #settled(attempt: string): void {
    const { journal, log } = this.#options;
    this.#reported.delete(attempt);
    // An attempt that the coordinator has no use for any more, but that still runs.
    this.#jobs
      .get(attempt)
      ?.cancel.abort(new ArchfarmError('cancelled', 'the coordinator does not need it any more'));
    journal
      .settle(attempt)
      .catch((error: unknown) => log.error({ attempt, err: error }, 'the journal could not be written'));
    this.#checkIdle();
  }

  #checkIdle(): void {
    // Reports are in the journal: without a coordinator to take them there is nothing to wait for.
    const nothingToTell = this.#options.journal.pending.size === 0 || !this.#link.up;
    if (this.#jobs.size === 0 && nothingToTell) this.#idle?.();
  }

  #cancelWhenCutOff(): void {
    this.#checkIdle();
    if (this.#link.downFor() <= this.#options.timers.cutOff) return;
    for (const job of this.#jobs.values()) {
      job.cancel.abort(new ArchfarmError('agent-lost', 'the coordinator was out of reach for too long'));
    }
  }
}

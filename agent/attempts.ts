/** The attempts of this agent: those that run, and those whose report its coordinator has not settled yet. */
import { attemptFields } from '../shared/attempt.ts';
import type { StoreUsage } from '../shared/context/store-usage.ts';
import type { Digest } from '../shared/context/tree.ts';
import { ArchfarmError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { ToCoordinator } from '../shared/messages.ts';
import type { Outcome, Task } from '../shared/task.ts';
import type { Timers } from '../shared/timers.ts';
import type { AgentConfig } from './config.ts';
import type { ContextLink } from './context-link.ts';
import type { Engine } from './engine/engine.ts';
import { IdleMemory } from './idle-memory.ts';
import { runJob } from './job.ts';
import type { Journal } from './journal.ts';
import { Outbox } from './outbox.ts';
import type { OwnImages } from './own-images.ts';
import { Questions } from './questions.ts';
import { Selections } from './selections.ts';
import { openSshTunnel } from './ssh-tunnel.ts';

export interface AttemptsOptions {
  readonly config: AgentConfig;
  readonly timers: Timers;
  readonly engine: Engine;
  readonly journal: Journal;
  readonly contexts: ContextLink;
  readonly images: OwnImages;
  readonly log: Logger;
  readonly send: (message: ToCoordinator) => void;
  /** Fewer run, or wait for their coordinator, than before. */
  readonly ended: () => void;
  /** How an attempt ended. */
  readonly outcome: (outcome: Outcome) => void;
}

interface Job {
  readonly task: Task;
  readonly cancel: AbortController;
  readonly outbox: Outbox;
  readonly selections: Selections;
  readonly startedAt: number;
  done: Promise<void>;
}

/** What `archfarm-agent status` shows of one. */
export interface JobStatus {
  readonly attempt: string;
  readonly image: string;
  readonly seconds: number;
}

export class Attempts {
  readonly questions: Questions;
  readonly #options: AttemptsOptions;
  readonly #jobs = new Map<string, Job>();
  /** Outboxes of reports that are sent but not settled. */
  readonly #reported = new Map<string, Outbox>();
  readonly #memory = new IdleMemory();

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.questions = new Questions((attempt, ask, question) =>
      options.send({ type: 'ask', attempt, ask, question }),
    );
  }

  /** How many run. */
  get running(): number {
    return this.#jobs.size;
  }

  /** How many have a report that is not settled. */
  get unsettled(): number {
    return this.#options.journal.pending.size;
  }

  get names(): string[] {
    return [...new Set([...this.#jobs.keys(), ...this.#options.journal.pending.keys()])];
  }

  get status(): JobStatus[] {
    return [...this.#jobs].map(([attempt, job]) => ({
      attempt,
      image: job.task.image,
      seconds: Math.round((Date.now() - job.startedAt) / 1000),
    }));
  }

  usage(): StoreUsage {
    return this.#options.contexts.usage();
  }

  has(attempt: string): boolean {
    return this.#jobs.has(attempt) || this.#options.journal.pending.has(attempt);
  }

  start(attempt: string, task: Task): void {
    const { timers, engine, contexts, images, config, log, send, outcome: ended } = this.#options;
    const cancel = new AbortController();
    const outbox = new Outbox({
      timers,
      send: (frame, events) => send({ type: 'progress', attempt, frame, events }),
      ended: () => this.#sendReport(attempt),
    });
    const selections = new Selections((tree, selection) =>
      send({ type: 'selected', attempt, tree, selection }),
    );
    const context = contexts.forJob();
    const { name: agent, policy, buildTimeout } = config;
    const services = {
      engine,
      context,
      rules: { agent, policy, buildTimeout },
      ask: (question: Parameters<Questions['ask']>[1], signal: AbortSignal) =>
        this.questions.ask(attempt, question, signal),
      ssh: (id: string, signal: AbortSignal) => openSshTunnel({ config, attempt, id }, signal),
    };
    log.info({ ...attemptFields(attempt), image: task.image }, 'attempt started');
    const run = async (): Promise<void> => {
      using _held = images.hold(task.image);
      const options = {
        signal: cancel.signal,
        onEvent: outbox.push.bind(outbox),
        onSelection: selections.add.bind(selections),
        onBuilt: (id: Digest) => {
          images
            .add(id, task.image, Date.now())
            .catch((error: unknown) =>
              log.warn({ ...attemptFields(attempt), err: error }, 'the image may be left for good'),
            );
        },
      };
      const outcome = await runJob(task, services, options);
      context[Symbol.dispose]();
      outbox.close(Date.now());
      log.info(
        {
          ...attemptFields(attempt),
          status: outcome.status,
          error: outcome.status === 'failed' ? outcome.error : undefined,
        },
        'attempt ended',
      );
      ended(outcome);
      await this.#report(attempt, outbox, outcome);
    };
    const job: Job = { task, cancel, outbox, selections, startedAt: Date.now(), done: Promise.resolve() };
    this.#jobs.set(attempt, job);
    this.#memory.jobs(this.#jobs.size);
    job.done = run().catch((error: unknown) =>
      log.error({ ...attemptFields(attempt), err: error }, 'the attempt could not be reported'),
    );
  }

  cancel(attempt: string, reason: string): void {
    this.#jobs.get(attempt)?.cancel.abort(new ArchfarmError('cancelled', reason));
  }

  /** Gives up what runs, which may be built elsewhere. Resolves when all of it has ended. */
  async abandon(reason: string): Promise<void> {
    const jobs = [...this.#jobs.values()];
    for (const job of jobs) job.cancel.abort(new ArchfarmError('agent-lost', reason));
    await Promise.all(jobs.map((job) => job.done));
  }

  /** Resolves when what runs now has ended. */
  async over(): Promise<void> {
    await Promise.all([...this.#jobs.values()].map((job) => job.done));
  }

  acknowledge(attempt: string, frame: number): void {
    this.#jobs.get(attempt)?.outbox.acknowledge(frame);
    this.#reported.get(attempt)?.acknowledge(frame);
  }

  settle(attempt: string): void {
    const { journal, log, ended } = this.#options;
    this.#reported.delete(attempt);
    // An attempt that the coordinator has no use for any more, but that still runs.
    this.cancel(attempt, 'the coordinator does not need it any more');
    journal
      .settle(attempt)
      .catch((error: unknown) =>
        log.error({ ...attemptFields(attempt), err: error }, 'the journal could not be written'),
      );
    ended();
  }

  /** Whatever the coordinator may have missed is said again; it knows repeats by their numbers. */
  resend(): void {
    for (const outbox of [...this.#reported.values(), ...[...this.#jobs.values()].map((job) => job.outbox)])
      outbox.resend();
    for (const { selections } of this.#jobs.values()) selections.resend();
    this.questions.resend();
    // Those of an earlier process: its progress is gone with it, so their reports wait for none.
    for (const [attempt, outcome] of this.#options.journal.pending) {
      if (!this.#reported.has(attempt))
        this.#options.send({ type: 'report', attempt, lastFrame: 0, outcome });
    }
  }

  async #report(attempt: string, outbox: Outbox, outcome: Outcome): Promise<void> {
    const { journal, log, ended } = this.#options;
    this.#reported.set(attempt, outbox);
    try {
      await journal.add(attempt, outcome);
    } catch (error) {
      // The report still counts if it arrives; only a restart before that would lose it.
      log.error({ ...attemptFields(attempt), err: error }, 'the report could not be written to the journal');
    }
    this.#jobs.delete(attempt);
    this.#memory.jobs(this.#jobs.size);
    outbox.end();
    // It may have been settled while it was written.
    ended();
  }

  #sendReport(attempt: string): void {
    const outcome = this.#options.journal.pending.get(attempt);
    const lastFrame = this.#reported.get(attempt)?.lastFrame;
    if (outcome === undefined || lastFrame === undefined) return;
    this.#options.send({ type: 'report', attempt, lastFrame, outcome });
  }
}

/** One agent's connection: its messages become events of the farm and frames of build logs, in their order. */
import { attemptFields, formatAttempt, parseAttempt, type AttemptId } from '../../shared/attempt.ts';
import type { Channel } from '../../shared/channel.ts';
import type { Selection } from '../../shared/context/select.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError, messageOf, toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import {
  closeCodes,
  type Answer,
  type Hello,
  type Question,
  type ToAgent,
  type ToCoordinator,
} from '../../shared/messages.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { ProofOutcome } from '../../shared/proof.ts';
import type { Outcome } from '../../shared/task.ts';
import type { DurableEvent, VolatileEvent } from './events.ts';

type Beat = Extract<ToCoordinator, { type: 'beat' }>;

/** What a session needs of the rest of the coordinator. */
export interface SessionServices {
  /** Time as the farm counts it. */
  now(): number;
  record(event: DurableEvent): Promise<void>;
  note(event: VolatileEvent): void;
  /** Whether what this agent says of the attempt matters: it frees a slot, or could still bring an image. */
  isOpen(attempt: AttemptId, agent: string): boolean;
  /** Whether the attempt may be told secrets and tokens: one that was given up may not. */
  mayAsk(attempt: AttemptId, agent: string): boolean;
  /** Writes a frame's events to the build's log, unless it has that frame. */
  append(attempt: AttemptId, frame: AgentFrame): void;
  /** The attempt's engine has opened a tree of its task, and asks for no more of it than this. */
  selected(attempt: AttemptId, tree: Digest, selection: Selection): void;
  /** The last frame of the attempt that is written; undefined when this process has seen none. */
  lastFrame(attempt: AttemptId): number | undefined;
  answer(attempt: AttemptId, question: Question, signal: AbortSignal): Promise<Answer>;
  /** How a proof ended that this connection was asked for. */
  proved(proof: string, outcome: ProofOutcome): void;
}

export interface AgentFrame {
  readonly agent: string;
  readonly frame: number;
  readonly events: readonly TaskEvent[];
}

export interface SessionOptions {
  readonly hello: Hello;
  /** That it may push to; none: all. */
  readonly repositories: readonly string[];
  readonly channel: Channel<ToCoordinator, ToAgent>;
  readonly services: SessionServices;
  readonly log: Logger;
}

/** Messages of one connection that wait for the disk. Beyond it the connection is cut, and the agent sends again. */
const maxWaiting = 10_000;

export class AgentSession {
  readonly #options: SessionOptions;
  readonly #closed = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #waiting = 0;
  #broken = false;
  /** When the last byte came, by the farm's clock. */
  heardAt: number;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.heardAt = options.services.now();
  }

  /** Aborts when the connection has ended. */
  get closedSignal(): AbortSignal {
    return this.#closed.signal;
  }

  /** The agent has joined: tells the farm, and the agent which of its attempts nobody waits for. */
  start(): void {
    const { hello, repositories, services, channel } = this.#options;
    const { name, session, version, protocol, platforms, slots, weight, labels, policy, engine } = hello;
    const attempts = hello.attempts.map(parseAttempt).filter((attempt) => attempt !== undefined);
    const open = attempts.filter((attempt) => services.isOpen(attempt, name));
    const at = services.now();
    services.note({
      type: 'agent-up',
      at,
      agent: {
        name,
        session,
        version,
        protocol,
        platforms,
        slots,
        weight,
        labels,
        policy,
        engine,
        repositories,
      },
      attempts: open,
    });
    this.#noteState(hello, at);
    for (const attempt of attempts) {
      if (!open.includes(attempt)) channel.send({ type: 'settle', attempt: formatAttempt(attempt) });
    }
  }

  heard(): void {
    const { hello, services } = this.#options;
    this.heardAt = services.now();
    services.note({ type: 'heard', at: this.heardAt, agent: hello.name, session: hello.session });
  }

  /** `replaced`: the agent is there over another connection, and must not be taken for gone. */
  closed({ replaced }: { replaced: boolean }): void {
    const { hello, services } = this.#options;
    this.#closed.abort(new ArchfarmError('agent-lost', `agent ${hello.name} disconnected`));
    if (replaced) return;
    services.note({ type: 'agent-down', at: services.now(), agent: hello.name, session: hello.session });
  }

  handle(message: ToCoordinator): void {
    if (message.type === 'hello') return this.#refuse('a second hello');
    if (message.type === 'beat') {
      this.#noteState(message, this.#options.services.now());
      return this.#options.channel.send({ type: 'beat' });
    }
    if (message.type === 'proved') return this.#options.services.proved(message.proof, message.outcome);
    const attempt = parseAttempt(message.attempt);
    if (attempt === undefined) return this.#refuse('a message without a valid attempt');
    if (!this.#options.services.isOpen(attempt, this.#options.hello.name)) {
      // Over, or never this agent's: what it says of it is of no use, and it may forget it.
      if (message.type !== 'decline')
        this.#options.channel.send({ type: 'settle', attempt: message.attempt });
      return undefined;
    }
    // Nothing that is stored: agents tell it again.
    if (message.type === 'selected')
      return this.#options.services.selected(attempt, message.tree, message.selection);
    // Answers may take as long as a registry does; nothing else of this agent waits for them.
    if (message.type === 'ask') return void this.#answer(attempt, message.ask, message.question);
    return this.#inOrder(attempt, () => this.#take(attempt, message));
  }

  #inOrder(attempt: AttemptId, work: () => Promise<void>): void {
    const { channel, log } = this.#options;
    if (++this.#waiting > maxWaiting)
      return channel.close(closeCodes.restart, 'too much at once; dial again');
    this.#work = this.#work
      .then(() => (this.#broken ? undefined : work()))
      .catch((error: unknown) => {
        // What could not be stored is not acknowledged: the agent sends it again on its next connection, and with
        // it what came after, which would seem to be known otherwise.
        this.#broken = true;
        log.error({ ...attemptFields(attempt), err: error }, 'a message could not be stored');
        channel.close(closeCodes.restart, `could not store it: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#waiting -= 1;
      });
    return undefined;
  }

  async #take(
    attempt: AttemptId,
    message: Exclude<ToCoordinator, { type: 'hello' | 'beat' | 'ask' | 'selected' | 'proved' }>,
  ): Promise<void> {
    const { services } = this.#options;
    const at = services.now();
    switch (message.type) {
      case 'accept':
        return services.record({ type: 'accepted', at, attempt });
      case 'decline': {
        const error = { code: 'agent-lost', message: `declined: ${message.reason}` } as const;
        return services.record({
          type: 'failed',
          at,
          attempt,
          outcome: 'declined',
          kind: 'infrastructure',
          error,
        });
      }
      case 'progress':
        return this.#progress(attempt, message.frame, message.events);
      case 'report': {
        const stored = services.lastFrame(attempt);
        if (stored !== undefined && stored < message.lastFrame) {
          throw new ArchfarmError(
            'protocol',
            `report of ${message.attempt} before its frame ${message.lastFrame}`,
          );
        }
        return services.record(eventOf(attempt, message.outcome, at));
      }
      default:
        return message satisfies never;
    }
  }

  #progress(attempt: AttemptId, frame: number, events: readonly TaskEvent[]): void {
    const { services, channel, hello } = this.#options;
    services.append(attempt, { agent: hello.name, frame, events });
    channel.send({ type: 'acknowledge', attempt: formatAttempt(attempt), frame });
  }

  async #answer(attempt: AttemptId, ask: number, question: Question): Promise<void> {
    const { services, channel, hello } = this.#options;
    const asked = services.mayAsk(attempt, hello.name)
      ? services.answer(attempt, question, this.#closed.signal)
      : Promise.reject(new ArchfarmError('cancelled', 'nobody waits for this attempt any more'));
    const answer = await asked.catch((error: unknown): Answer => ({
      kind: 'error',
      error: toErrorInfo(error),
    }));
    channel.send({ type: 'answer', attempt: formatAttempt(attempt), ask, answer });
  }

  #noteState(from: Pick<Beat, 'state' | 'reason' | 'contexts' | 'disks' | 'usage'>, at: number): void {
    const { hello, services } = this.#options;
    const { state, reason, contexts, disks, usage } = from;
    services.note({
      type: 'beat',
      at,
      agent: hello.name,
      session: hello.session,
      state,
      reason,
      contexts,
      disks,
      usage,
    });
  }

  #refuse(why: string): void {
    this.#options.channel.close(closeCodes.malformed, why);
  }
}

function eventOf(attempt: AttemptId, outcome: Outcome, at: number): DurableEvent {
  switch (outcome.status) {
    case 'pushed':
      return { type: 'reported', at, attempt, image: outcome.image };
    case 'failed': {
      const { kind, error, timings, sentBytes } = outcome;
      return { type: 'failed', at, attempt, outcome: 'failed', kind, error, timings, sentBytes };
    }
    case 'cancelled': {
      const error = { code: 'cancelled', message: outcome.reason } as const;
      return { type: 'failed', at, attempt, outcome: 'cancelled', kind: 'infrastructure', error };
    }
    default:
      return outcome satisfies never;
  }
}

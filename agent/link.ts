/** The control connection: dials the coordinator, keeps dialing, says hello and beats. */
import { delay } from '../shared/abort.ts';
import { Backoff } from '../shared/backoff.ts';
import { Channel } from '../shared/channel.ts';
import { decodeToAgent } from '../shared/codec.ts';
import { dial } from '../shared/dial.ts';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { closeCodes, type Hello, type ToAgent, type ToCoordinator } from '../shared/messages.ts';
import type { Timers } from '../shared/timers.ts';
import { readRefusal } from './refusal.ts';
import { tlsTrouble, type TlsTrust } from '../shared/trust.ts';

export interface LinkOptions {
  readonly coordinator: URL;
  readonly token: string | undefined;
  readonly trust: () => TlsTrust;
  readonly timers: Timers;
  readonly log: Logger;
  hello(): Hello;
  /** What a beat tells. */
  state(): Omit<Extract<ToCoordinator, { type: 'beat' }>, 'type'>;
  /** The coordinator said welcome. */
  up(): void;
  /** A connection that was up is no more. */
  down(): void;
  message(message: ToAgent): void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  #channel: Channel<ToAgent, ToCoordinator> | undefined;
  #welcomed = false;
  /** Times here are steady: setting the host's clock must not look like silence. */
  #downSince = performance.now();
  /** What the dial itself met; the close that follows it has no reason. */
  #dialError = '';
  #lastError = '';
  /** Why there is no use in dialing again. */
  #refused: ArchfarmError | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ first: options.timers.reconnect, max: options.timers.reconnectMax });
  }

  get up(): boolean {
    return this.#welcomed && this.#channel?.open === true;
  }

  /** Milliseconds since the coordinator was last reachable; 0 while it is. */
  downFor(now = performance.now()): number {
    // Not by `up`: a connection that is being closed has only just been lost.
    return this.#welcomed ? 0 : now - this.#downSince;
  }

  /** Why the coordinator is not reachable; empty while it is. */
  get lastError(): string {
    return this.up ? '' : this.#lastError;
  }

  send(message: ToCoordinator): void {
    if (this.up) this.#channel?.send(message);
  }

  /** Says hello again, with what has changed. */
  redial(reason: string): void {
    this.#channel?.close(1000, reason);
  }

  /** Until the signal aborts. Throws `agent-removed` once the coordinator has refused this agent for good. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const upFor = await this.#connect(signal);
      if (this.#refused !== undefined) throw this.#refused;
      if (upFor >= this.#options.timers.reconnectReset) this.#backoff.reset();
      await delay(this.#backoff.next(), signal).catch(() => {});
    }
  }

  /** One connection, from dial to close. Resolves with how long it was up. Never rejects. */
  #connect(signal: AbortSignal): Promise<number> {
    const { coordinator, token, trust, timers, log } = this.#options;
    const socket = dial('/v1/agent', { coordinator, token, trust: trust() });
    let heardAt = performance.now();
    let upAt: number | undefined;
    let lost = timers.lost;
    let beats: NodeJS.Timeout | undefined;

    return new Promise((resolve) => {
      const stop = (): void => channel.close(1000, 'the agent stops');
      signal.addEventListener('abort', stop, { once: true });
      const channel = new Channel<ToAgent, ToCoordinator>(socket, {
        decode: decodeToAgent,
        heard: () => (heardAt = performance.now()),
        message: (message) => {
          if (message.type === 'beat') return;
          if (message.type !== 'welcome') return this.#options.message(message);
          if (upAt !== undefined) return channel.close(closeCodes.malformed, 'a second welcome');
          clearTimeout(late);
          upAt = performance.now();
          lost = message.lost;
          this.#welcomed = true;
          log.info({ coordinator: coordinator.href, version: message.version }, 'connected');
          beats = this.#startBeats(message.heartbeat, () => {
            if (performance.now() - heardAt > lost) channel.terminate();
            else channel.send({ type: 'beat', ...this.#options.state() });
          });
          return this.#options.up();
        },
        closed: (code, reason) => {
          clearTimeout(late);
          clearTimeout(beats);
          signal.removeEventListener('abort', stop);
          this.#welcomed = false;
          this.#channel = undefined;
          if (upAt !== undefined) {
            this.#downSince = performance.now();
            this.#options.down();
          }
          if (!signal.aborted) this.#closed(code, reason, upAt !== undefined);
          resolve(upAt === undefined ? 0 : performance.now() - upAt);
        },
      });
      this.#channel = channel;
      // A host that is gone before its welcome would be waited for without end.
      const late = setTimeout(() => {
        this.#dialError = `${coordinator.href} does not answer`;
        channel.terminate();
      }, timers.lost);
      socket.on('open', () => channel.send(this.#options.hello()));
      socket.on('unexpected-response', (_request, response) => {
        void readRefusal(response, coordinator).then((refusal) => {
          this.#dialError = messageOf(refusal);
          if (refusal.code === 'agent-removed') this.#refused = refusal;
          socket.terminate();
        });
      });
      socket.on('error', (error) => {
        if (upAt === undefined && this.#dialError === '') this.#dialError = failure(error, coordinator);
      });
    });
  }

  #startBeats(interval: number, beat: () => void): NodeJS.Timeout {
    const jittered = (): number => interval * (0.9 + Math.random() * 0.2);
    const timer = setTimeout(() => {
      beat();
      timer.refresh();
    }, jittered());
    return timer;
  }

  /** One log line for each change, not one for each try. */
  #closed(code: number, reason: string, wasUp: boolean): void {
    const why =
      reason === '' ? this.#dialError || `connection closed (code ${code})` : `${reason} (code ${code})`;
    const { log, coordinator } = this.#options;
    if (wasUp || why !== this.#lastError) {
      log.warn({ coordinator: coordinator.href, reason: why }, 'not connected; dialing again');
    }
    if (code === closeCodes.revoked) this.#refused = forGood(reason);
    this.#lastError = why;
    this.#dialError = '';
  }
}

function failure(error: Error, coordinator: URL): string {
  const trouble = tlsTrouble(error, coordinator);
  return trouble === undefined ? messageOf(error) : `${coordinator.href} ${trouble.what}: ${trouble.hint}`;
}

function forGood(reason: string): ArchfarmError {
  return new ArchfarmError('agent-removed', `the coordinator refuses this agent for good: ${reason}`, {
    hint: 'archfarm agents add prints how a host joins',
  });
}

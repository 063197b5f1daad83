/** An agent without an engine over a real socket: it beats, dials again, and does with offers what it is told. */
import type { WebSocket } from 'ws';
import { Backoff } from '../../shared/backoff.ts';
import { dial } from '../../shared/dial.ts';
import { PROTOCOL_VERSION, type ToAgent, type ToCoordinator } from '../../shared/messages.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { version } from '../../shared/version.ts';

type Of<Type extends ToAgent['type']> = Extract<ToAgent, { type: Type }>;

export interface AgentOptions {
  readonly coordinator: URL;
  readonly name: string;
  readonly platform: string;
  readonly slots?: number;
  /** Shared by all agents of a part. */
  readonly seen: Seen;
  readonly onOffer?: (agent: ScaleAgent, offer: Of<'offer'>) => void;
  readonly onAcknowledge?: (message: Of<'acknowledge'>) => void;
  readonly onSettle?: (message: Of<'settle'>) => void;
}

/** What agents have seen. */
export interface Seen {
  /** Milliseconds from each beat to its answer. */
  readonly beats: number[];
  /** Connections that were there and ended, with their close codes. */
  readonly ends: number[];
  /** When the latest welcome came, by `performance.now()`. */
  welcomedAt: number;
  welcomes: number;
}

export function newSeen(): Seen {
  return { beats: [], ends: [], welcomedAt: 0, welcomes: 0 };
}

export class ScaleAgent {
  readonly #options: AgentOptions;
  #session = newSession();
  /** What it says at each hello. */
  readonly attempts = new Set<string>();
  readonly #backoff = new Backoff({ first: defaultTimers.reconnect, max: defaultTimers.reconnectMax });
  #socket: WebSocket | undefined;
  #beats: NodeJS.Timeout | undefined;
  #beatAt = 0;
  #closed = false;
  #frozen = false;
  /** Milliseconds until it dials, once. */
  #pause: number | undefined;
  connected = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#dial();
  }

  send(message: ToCoordinator): void {
    this.sendText(JSON.stringify(message));
  }

  /** For messages that are made once and sent often. */
  sendText(message: string): void {
    if (this.connected && !this.#frozen) this.#socket?.send(message);
  }

  /** Bytes that have not gone to the kernel. */
  get waiting(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** As when its host is gone: nothing comes from it any more, and no connection ends. */
  freeze(): void {
    this.#frozen = true;
    clearTimeout(this.#beats);
    this.#socket?.pause();
  }

  /** Its process dies, and another one is there after so many milliseconds, which knows of nothing. */
  restart(pause: number): void {
    this.#session = newSession();
    this.attempts.clear();
    this.#pause = pause;
    this.#socket?.terminate();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#beats);
    this.#socket?.terminate();
  }

  #dial(): void {
    if (this.#closed) return;
    const { coordinator, name, platform, slots = 1, seen } = this.#options;
    const socket = dial('/v1/agent', { coordinator, token: undefined });
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('open', () => {
      const hello: ToCoordinator = {
        type: 'hello',
        protocol: PROTOCOL_VERSION,
        version,
        name,
        session: this.#session,
        platforms: [{ platform, native: true }],
        slots,
        weight: 1,
        labels: {},
        engine: { version: '20.10.24', apiVersion: '1.41' },
        state: 'ready',
        attempts: [...this.attempts],
      };
      socket.send(JSON.stringify(hello));
    });
    socket.on('message', (data: Buffer) => this.#take(JSON.parse(data.toString())));
    socket.on('close', (code) => {
      if (this.connected && !this.#closed) seen.ends.push(code);
      this.connected = false;
      clearTimeout(this.#beats);
      setTimeout(() => this.#dial(), this.#pause ?? this.#backoff.next());
      this.#pause = undefined;
    });
  }

  #take(message: ToAgent): void {
    const { seen, onOffer, onAcknowledge, onSettle } = this.#options;
    switch (message.type) {
      case 'welcome':
        this.connected = true;
        this.#backoff.reset();
        seen.welcomes += 1;
        seen.welcomedAt = performance.now();
        // The first beats are spread, as those of agents that were started at any time.
        return this.#beatIn(Math.random() * message.heartbeat, message.heartbeat);
      case 'beat':
        return void seen.beats.push(performance.now() - this.#beatAt);
      case 'offer':
        return onOffer?.(this, message);
      case 'acknowledge':
        return onAcknowledge?.(message);
      case 'settle':
        this.attempts.delete(message.attempt);
        return onSettle?.(message);
      default:
        return undefined;
    }
  }

  #beatIn(pause: number, heartbeat: number): void {
    this.#beats = setTimeout(() => {
      this.#beatAt = performance.now();
      this.send({ type: 'beat', state: 'ready' });
      this.#beatIn(heartbeat * (0.9 + 0.2 * Math.random()), heartbeat);
    }, pause);
  }
}

function newSession(): string {
  return Math.random().toString(36).slice(2).padEnd(12, '0');
}

/**
 * One HTTP exchange with a registry or a host that it named. Knows connections, addresses and bounds; nothing of
 * sign-in, redirects or retries.
 */
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { Agent, request, type buildConnector, type Dispatcher } from 'undici';
import { reasonOf } from '../../shared/abort.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { mayReach, zoneOf, type Zone } from './address.ts';
import { connectorFor } from './connector.ts';
import type { Endpoint } from './endpoint.ts';
import { badAnswer, networkFailure, RegistryError, type Asked } from './registry-error.ts';
import type { RegistryTiming } from './timing.ts';
import type { Traffic } from './traffic.ts';
import type { Trust } from './trust.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface TransportOptions {
  readonly timing: RegistryTiming;
  readonly trust: Trust;
  /** How names become addresses; the system's way, if not given. */
  readonly lookup?: LookupFunction | undefined;
  readonly traffic?: Traffic | undefined;
}

export interface Exchange {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | Readable | undefined;
}

export interface Answer {
  readonly url: URL;
  readonly status: number;
  /** A header that came several times is joined with commas. */
  header(name: string): string | undefined;
  /** Taken by exactly one of `stream`, `read` and `discard`. */
  stream(): Readable;
  /** Throws when the body is larger than `limit` bytes. */
  read(limit: number): Promise<Buffer>;
  /** Its first bytes, at most `limit`, however it goes on. */
  start(limit: number): Promise<Buffer>;
  discard(): Promise<void>;
}

/** At most this many requests at once to one host; a copy within one registry takes two. */
export const connectionsPerHost = 8;

interface Agents {
  readonly home: Agent;
  readonly elsewhere: Agent;
}

export class Transport {
  readonly endpoint: Endpoint;
  readonly #newAgents: () => Agents;
  #agents: Agents | undefined;
  /** What they were asked is still being answered. */
  readonly #retired = new Set<Agent>();
  readonly #traffic: Traffic | undefined;
  /** Where the registry itself turned out to be. */
  #zone: Zone = 'public';

  constructor(endpoint: Endpoint, { timing, trust, lookup, traffic }: TransportOptions) {
    this.endpoint = endpoint;
    this.#traffic = traffic;
    const agent = (connect: buildConnector.connector): Agent =>
      new Agent({
        connect,
        connections: connectionsPerHost,
        headersTimeout: timing.idle,
        bodyTimeout: timing.idle,
      });
    const { host, origin } = endpoint;
    const common = {
      registry: host,
      trust,
      timeout: timing.connect,
      lookup,
      nameOf: (target: string) => (new URL(origin).host === target ? host : target),
    };
    const connect = connectorFor(common);
    this.#newAgents = () => ({
      home: agent((options, callback) => {
        connect(options, (...[error, socket]) => {
          if (error !== null) return callback(error, null);
          this.#zone = zoneOf(socket.remoteAddress ?? '');
          callback(null, socket);
        });
      }),
      elsewhere: agent(
        connectorFor({ ...common, refuse: (address, hostname) => this.#refuse(address, hostname) }),
      ),
    });
  }

  #refuse(address: string, hostname: string): RegistryError | undefined {
    const zone = zoneOf(address);
    if (mayReach(this.#zone, zone)) return undefined;
    return new RegistryError(
      'registry-error',
      `registry ${this.endpoint.host} points at ${hostname}, a ${zone} address that it may not send us to`,
    );
  }

  /** Whether credentials for this registry may be shown there. */
  isHome(url: URL): boolean {
    return url.origin === this.endpoint.origin;
  }

  async send(exchange: Exchange, signal: AbortSignal): Promise<Answer> {
    const { method, url, headers, body } = exchange;
    const asked = { method, url, endpoint: this.endpoint };
    if (url.protocol !== 'https:' && !(this.endpoint.plain && url.protocol === 'http:')) {
      throw badAnswer(asked, 'the registry asks for a connection without TLS');
    }
    this.#agents ??= this.#newAgents();
    const { home, elsewhere } = this.#agents;
    try {
      const answer = await request(url, {
        method,
        headers: { 'user-agent': 'archfarm', ...headers },
        body: body ?? null,
        signal,
        dispatcher: this.isHome(url) ? home : elsewhere,
      });
      this.#traffic?.asked(this.endpoint.host, method, answer.statusCode);
      return this.#answer(asked, answer, signal);
    } catch (error) {
      this.#traffic?.asked(this.endpoint.host, method, undefined);
      throw this.#failure(asked, error, signal);
    }
  }

  /** What failed is asked again. */
  noteRetry(): void {
    this.#traffic?.retried(this.endpoint.host);
  }

  #answer(asked: Asked, { statusCode, headers, body }: Dispatcher.ResponseData, signal: AbortSignal): Answer {
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        throw this.#failure(asked, error, signal);
      }
    };
    const start = (limit: number): Promise<Buffer> =>
      guarded(async () => {
        const chunks: Buffer[] = [];
        let length = 0;
        for await (const piece of body) {
          const chunk: Buffer = piece;
          chunks.push(chunk);
          length += chunk.length;
          // Leaving the loop ends the connection, so an endless body costs nothing more.
          if (length >= limit) break;
        }
        return Buffer.concat(chunks).subarray(0, limit);
      });
    return {
      url: asked.url,
      status: statusCode,
      header: (name) => {
        const value = headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      // Who takes it sees how it fails by reading; who drops it unread is not to take the process along.
      stream: () => body.on('error', () => {}),
      start,
      read: async (limit) => {
        const bytes = await start(limit + 1);
        if (bytes.length > limit) throw badAnswer(asked, `the answer is larger than ${limit} bytes`);
        return bytes;
      },
      discard: () => guarded(() => body.dump()),
    };
  }

  #failure(asked: Asked, error: unknown, signal: AbortSignal): Error {
    if (signal.aborted) return reasonOf(signal);
    return error instanceof ArchfarmError ? error : networkFailure(asked, error);
  }

  /** Lets go of its connections once what goes on has ended. Whoever still has it may send more: by others. */
  async retire(): Promise<void> {
    if (this.#agents === undefined) return;
    const { home, elsewhere } = this.#agents;
    this.#agents = undefined;
    const closed = [home, elsewhere].map(async (agent) => {
      this.#retired.add(agent);
      await agent.close();
      this.#retired.delete(agent);
    });
    await Promise.all(closed);
  }

  async close(): Promise<void> {
    // Those of one that has none yet as well: whatever comes later is refused.
    this.#agents ??= this.#newAgents();
    const { home, elsewhere } = this.#agents;
    await Promise.all([...this.#retired, home, elsewhere].map((agent) => agent.destroy()));
  }
}

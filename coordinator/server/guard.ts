/** Lets requests in: who makes them, and whether they may. Every route says by its verb what it is about. */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ArchfarmError } from '../../shared/errors.ts';
import { access, requireAccess, type Verb } from '../trust/access.ts';
import { asksWho } from '../trust/asks-who.ts';
import type { Authenticator } from '../trust/authenticator.ts';
import type { Connections } from '../trust/connections.ts';
import { nameOf, type JoinedAgent, type Principal, type Visitor } from '../trust/principal.ts';
import { isFromForeignPage } from '../trust/own-page.ts';
import type { Refusals } from '../trust/refusals.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    verb?: Verb;
  }
}

export interface GuardOptions {
  readonly authenticator: Authenticator;
  readonly connections: Connections;
  readonly refusals: Pick<Refusals, 'note'>;
  /** Whoever holds this connection may be here. */
  readonly admitted: (socket: Socket) => void;
  /** It does what agents alone do: browsers show whatever certificate their users have. */
  readonly worked: (agent: JoinedAgent, socket: Socket) => void;
}

export interface Entry extends Pick<FastifyRequest, 'headers' | 'socket'> {
  /** Undefined for what leads nowhere. */
  readonly verb: Verb | undefined;
}

/** What a route is about, for its options. */
export function about(verb: Verb): { config: { verb: Verb } } {
  return { config: { verb } };
}

export class Guard {
  readonly #options: GuardOptions;
  readonly #visitors = new WeakMap<FastifyRequest, Visitor>();

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Of all routes that are added later. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ method, url, config }) => {
      if (config?.verb === undefined) throw new TypeError(`${String(method)} ${url} has no verb`);
    });
    app.addHook('onRequest', async (request, reply) => {
      const verb = verbOf(request);
      // What does not exist is nobody's secret.
      if (verb === undefined || access[verb].needs === 'anybody') return;
      const { headers, socket } = request;
      const visitor = this.admit({ headers, socket, verb });
      this.#visitors.set(request, visitor);
      const release = this.#options.connections.hold(visitor.principal, () => socket.destroy());
      reply.raw.once('close', release);
    });
    app.addHook('onError', async (request, _reply, error) => {
      const { headers, socket } = request;
      this.failed(error, { headers, socket, verb: verbOf(request) });
    });
  }

  /** Throws `unauthorized` for whoever does not show who it is, `forbidden` for what it may not do. */
  admit({ headers, socket, verb }: Entry): Visitor {
    const principal = this.#options.authenticator.identify(headers, socket);
    if (principal === undefined) throw refusal({ headers, socket });
    if (verb !== undefined) {
      requireAccess(principal, verb);
      if (principal.type === 'agent' && access[verb].needs === 'agent')
        this.#options.worked(principal, socket);
    }
    this.#options.admitted(socket);
    return { principal, from: socket.remoteAddress ?? '' };
  }

  /** To be told of what a request failed for: what was refused goes into the audit. */
  failed(error: unknown, { headers, socket, verb }: Entry): void {
    if (!(error instanceof ArchfarmError)) return;
    const from = socket.remoteAddress ?? '';
    if (error.code === 'unauthorized') {
      const what = verb === undefined ? undefined : `to ${access[verb].what}`;
      this.#options.refusals.note({ action: 'login-refused', kind: verb, from, what });
    } else if (error.code === 'agent-removed') {
      const what = error.message;
      // It names the agent.
      this.#options.refusals.note({ action: 'login-refused', kind: what, from, what });
    } else if (error.code === 'forbidden') {
      const who = this.#whoNow({ headers, socket });
      this.#options.refusals.note({ action: 'forbidden', kind: verb, who, from, what: error.message });
    }
  }

  /** Undefined for somebody who is not known any more: a certificate may have run out since the request came. */
  #whoNow({ headers, socket }: Pick<Entry, 'headers' | 'socket'>): string | undefined {
    try {
      const principal = this.#options.authenticator.identify(headers, socket);
      return principal && nameOf(principal);
    } catch {
      return undefined;
    }
  }

  visitorOf(request: FastifyRequest): Visitor {
    const visitor = this.#visitors.get(request);
    if (visitor === undefined) throw new TypeError(`nobody was asked who makes ${request.url}`);
    return visitor;
  }

  /** `end` closes a connection that outlives its request; to be called with the result once it is closed. */
  hold(principal: Principal, end: () => void): () => void {
    return this.#options.connections.hold(principal, end);
  }
}

/** Undefined where there is no route. */
export function verbOf(request: FastifyRequest): Verb | undefined {
  return request.routeOptions.config.verb;
}

function refusal({ headers, socket }: Pick<Entry, 'headers' | 'socket'>): ArchfarmError {
  if (!isFromForeignPage(headers, socket)) {
    const message = headers.authorization === undefined ? asksWho : 'the coordinator refuses this token';
    return new ArchfarmError('unauthorized', message, {
      hint: 'give its token with --token-file or ARCHFARM_TOKEN',
    });
  }
  const error = new ArchfarmError('unauthorized', 'the coordinator refuses what pages of other hosts ask');
  return Object.assign(error, { statusCode: 403 });
}

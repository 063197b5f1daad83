/** Which WebSocket goes where: authentication first, then by path. */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer, type WebSocket } from 'ws';
import { attemptFields } from '../../shared/attempt.ts';
import { givesPieces } from '../../shared/context/gives-pieces.ts';
import { keepAliveAfter } from '../../shared/dial.ts';
import { ArchfarmError, toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { closeCodes, limits } from '../../shared/messages.ts';
import type { Verb } from '../trust/access.ts';
import type { Visitor } from '../trust/principal.ts';
import { statusOf } from './error-status.ts';
import type { Guard } from './guard.ts';

/** What each path is about. */
export const doors = {
  '/v1/agent': 'join-farm',
  '/v1/agent/context': 'fetch-context',
  '/v1/agent/ssh': 'use-ssh',
  '/v1/client/context': 'send-context',
  '/v1/client/ssh': 'serve-ssh',
  '/v1/client/tunnel': 'open-tunnel',
} as const satisfies Record<string, Verb>;

/** Who asks for a socket, and for which. */
export interface Visit extends Visitor {
  readonly query: URLSearchParams;
}

export interface UpgradeRoutes {
  /** Throws where a client may not do with the build in its query what the path is about. */
  check(verb: Verb, visit: Visit): void;
  /** Control connection of an agent. */
  agent(socket: WebSocket, visit: Visit): void;
  /** The contents that an agent asks for. */
  agentContext(socket: WebSocket, visit: Visit): void;
  /** The client's end of a new tunnel to its ssh agent; throws `client-gone`. */
  agentSsh(visit: Visit): Promise<WebSocket>;
  /** The contents that a client offers. */
  clientContext(socket: WebSocket, visit: Visit): void;
  /** A client that serves its ssh agent to a build. */
  clientSsh(socket: WebSocket, visit: Visit): void;
  /** A tunnel that a client was asked to open. False when nobody waits for it. */
  clientTunnel(socket: WebSocket, visit: Visit): boolean;
}

export interface UpgradeOptions {
  readonly guard: Guard;
  readonly routes: UpgradeRoutes;
  readonly log: Logger;
}

/** Milliseconds for a peer to answer the close of its socket. */
const closePatience = 2000;

export function acceptUpgrades(server: Server, { guard, routes, log }: UpgradeOptions): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.message,
    maxFragments: limits.fragments,
    perMessageDeflate: false,
  });

  sockets.on('headers', (headers: string[], { url = '' }) => {
    if (url.split('?', 1)[0] === '/v1/agent/context')
      headers.push(`${givesPieces.header}: ${givesPieces.value}`);
  });

  server.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    raw.on('error', () => raw.destroy());
    request.socket.setKeepAlive(true, keepAliveAfter);
    // Not by URL, which throws for what a request line may hold.
    const [path = '', search = ''] = (request.url ?? '').split('?', 2);
    const verb = isDoor(path) ? doors[path] : undefined;
    const entry = { headers: request.headers, socket: request.socket, verb };
    let visit: Visit;
    try {
      const visitor = guard.admit(entry);
      visit = { ...visitor, query: new URLSearchParams(search) };
      if (verb !== undefined) routes.check(verb, visit);
    } catch (error) {
      guard.failed(error, entry);
      return refuse(raw, error);
    }
    const release = guard.hold(visit.principal, () => raw.destroy());
    raw.once('close', release);
    const accept = (take: (socket: WebSocket) => void): void =>
      sockets.handleUpgrade(request, raw, head, (socket) => {
        // Whoever takes it may be done with it before it is closed; an error is always followed by the close.
        socket.on('error', () => {});
        release();
        socket.once(
          'close',
          guard.hold(visit.principal, () => expel(socket)),
        );
        take(socket);
      });
    switch (path) {
      case '/v1/agent':
        return accept((socket) => routes.agent(socket, visit));
      case '/v1/agent/context':
        return accept((socket) => routes.agentContext(socket, visit));
      case '/v1/agent/ssh':
        return void tunnel(visit, raw, accept);
      case '/v1/client/context':
        return accept((socket) => routes.clientContext(socket, visit));
      case '/v1/client/ssh':
        return accept((socket) => routes.clientSsh(socket, visit));
      case '/v1/client/tunnel':
        return accept((socket) => {
          if (!routes.clientTunnel(socket, visit)) socket.close(1000, 'nobody waits for this tunnel');
        });
      default:
        return refuse(raw, new ArchfarmError('not-found', `nothing at ${path.slice(0, 200)}`));
    }
  });

  /** The agent's request is answered only once the client has opened its end, so that a refusal is an answer. */
  async function tunnel(
    visit: Visit,
    raw: Duplex,
    accept: (take: (socket: WebSocket) => void) => void,
  ): Promise<void> {
    try {
      const client = await routes.agentSsh(visit);
      let joined = false;
      accept((agent) => {
        joined = true;
        join(agent, client);
      });
      // The agent did not wait for its answer.
      if (!joined) client.terminate();
    } catch (error) {
      const info = toErrorInfo(error);
      log.warn({ ...attemptFields(visit.query.get('attempt') ?? ''), error: info }, 'no ssh tunnel');
      refuse(raw, new ArchfarmError('not-found', info.message));
    }
  }

  return sockets;
}

/** Bytes go both ways until either end closes. */
function join(left: WebSocket, right: WebSocket): void {
  const [a, b] = [createWebSocketStream(left), createWebSocketStream(right)];
  a.pipe(b);
  b.pipe(a);
  for (const [from, to] of [[a, right] as const, [b, left] as const]) {
    from.on('error', () => to.terminate());
    from.on('close', () => to.terminate());
  }
}

function isDoor(path: string): path is keyof typeof doors {
  return Object.hasOwn(doors, path);
}

/** Whoever was here with an identity that counts no more. */
function expel(socket: WebSocket): void {
  socket.close(closeCodes.revoked, 'this identity counts no more');
  setTimeout(() => socket.terminate(), closePatience).unref();
}

function refuse(raw: Duplex, error: unknown): void {
  const status = statusOf(error);
  const body = JSON.stringify({ error: toErrorInfo(error) });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  raw.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Which WebSocket goes where: authentication first, then by path. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer, type WebSocket } from 'ws';
import { keepAliveAfter } from '../../shared/dial.ts';
import { toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { limits } from '../../shared/messages.ts';
import type { TokenAuth } from './auth.ts';

export interface UpgradeRoutes {
  /** Control connection of an agent. */
  agent(socket: WebSocket, from: string): void;
  /** The contents that an agent asks for. */
  agentContext(socket: WebSocket, query: URLSearchParams): void;
  /** The client's end of a new tunnel to its ssh agent; throws `client-gone`. */
  agentSsh(query: URLSearchParams): Promise<WebSocket>;
  /** The contents that a client offers. */
  clientContext(socket: WebSocket, query: URLSearchParams): void;
  /** A client that serves its ssh agent to a build. */
  clientSsh(socket: WebSocket, query: URLSearchParams): void;
  /** A tunnel that a client was asked to open. False when nobody waits for it. */
  clientTunnel(socket: WebSocket, query: URLSearchParams): boolean;
}

export interface UpgradeOptions {
  readonly auth: TokenAuth;
  /** Whoever holds this connection may be here. */
  readonly admitted: (socket: Socket) => void;
  readonly routes: UpgradeRoutes;
  readonly log: Logger;
}

export function acceptUpgrades(
  server: Server,
  { auth, admitted, routes, log }: UpgradeOptions,
): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.message,
    perMessageDeflate: false,
  });

  server.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    raw.on('error', () => raw.destroy());
    request.socket.setKeepAlive(true, keepAliveAfter);
    if (!auth.admits(request.headers)) return refuse(raw, request.headers.origin === undefined ? 401 : 403);
    admitted(request.socket);
    // Not by URL, which throws for what a request line may hold.
    const [path, search = ''] = (request.url ?? '').split('?', 2);
    const query = new URLSearchParams(search);
    const accept = (take: (socket: WebSocket) => void): void =>
      sockets.handleUpgrade(request, raw, head, (socket) => {
        // Whoever takes it may be done with it before it is closed; an error is always followed by the close.
        socket.on('error', () => {});
        take(socket);
      });
    const from = request.socket.remoteAddress ?? '';
    switch (path) {
      case '/v1/agent':
        return accept((socket) => routes.agent(socket, from));
      case '/v1/agent/context':
        return accept((socket) => routes.agentContext(socket, query));
      case '/v1/agent/ssh':
        return void tunnel(query, raw, accept);
      case '/v1/client/context':
        return accept((socket) => routes.clientContext(socket, query));
      case '/v1/client/ssh':
        return accept((socket) => routes.clientSsh(socket, query));
      case '/v1/client/tunnel':
        return accept((socket) => {
          if (!routes.clientTunnel(socket, query)) socket.close(1000, 'nobody waits for this tunnel');
        });
      default:
        return refuse(raw, 404);
    }
  });

  /** The agent's request is answered only once the client has opened its end, so that a refusal is an answer. */
  async function tunnel(
    query: URLSearchParams,
    raw: Duplex,
    accept: (take: (socket: WebSocket) => void) => void,
  ): Promise<void> {
    try {
      const client = await routes.agentSsh(query);
      let joined = false;
      accept((agent) => {
        joined = true;
        join(agent, client);
      });
      // The agent did not wait for its answer.
      if (!joined) client.terminate();
    } catch (error) {
      log.warn({ attempt: query.get('attempt'), error: toErrorInfo(error) }, 'no ssh tunnel');
      refuse(raw, 404);
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

function refuse(raw: Duplex, status: 401 | 403 | 404): void {
  const text = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found' }[status];
  raw.end(`HTTP/1.1 ${status} ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

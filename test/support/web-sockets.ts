/** Real WebSockets on a free port, for tests that script one side, or both. */
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { limits } from '../../shared/messages.ts';
import { until } from './until.ts';

export interface SocketServer extends AsyncDisposable {
  /** The http form, as a coordinator's address. */
  readonly url: URL;
  /** In the order of their coming. */
  readonly sockets: readonly WebSocket[];
}

export async function socketServer(
  connected: (socket: WebSocket, path: string) => void = () => {},
): Promise<SocketServer> {
  const options = { host: '127.0.0.1', port: 0, maxPayload: limits.message, perMessageDeflate: false };
  const server = new WebSocketServer(options);
  await once(server, 'listening');
  const sockets: WebSocket[] = [];
  server.on('connection', (socket, request) => {
    sockets.push(socket);
    socket.on('error', () => {});
    connected(socket, request.url ?? '');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return {
    url: new URL(`http://127.0.0.1:${address.port}/`),
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

export interface SocketPair extends AsyncDisposable {
  readonly server: WebSocket;
  readonly client: WebSocket;
}

/** Both ends of one open connection. */
export async function socketPair(): Promise<SocketPair> {
  const server = await socketServer();
  const client = new WebSocket(server.url, { perMessageDeflate: false });
  client.on('error', () => {});
  await once(client, 'open');
  const [other] = await until(() => server.sockets.length > 0 && server.sockets);
  if (other === undefined) throw new Error('no connection came');
  return {
    server: other,
    client,
    async [Symbol.asyncDispose]() {
      client.terminate();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Code and reason of the close that the other side began. */
export async function closeOf(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason]: unknown[] = await once(socket, 'close', { signal: AbortSignal.timeout(10_000) });
  return { code: Number(code), reason: String(reason) };
}

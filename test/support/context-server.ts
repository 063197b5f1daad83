/** A WebSocket server that sends the contents of a source, and sockets to it that a test may cut. */
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { givesPieces } from '../../shared/context/gives-pieces.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';

export interface ContextServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** A socket that is open. */
  dial(): Promise<WebSocket>;
  /** How each of its connections ended: undefined, or the error. */
  readonly outcomes: unknown[];
}

/** With `header`, it says that it gives pieces as a coordinator does. */
export async function contextServer(source: ContentSource, { header = false } = {}): Promise<ContextServer> {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    maxPayload: 1 << 20,
    perMessageDeflate: false,
  });
  server.on('headers', (headers: string[]) => {
    if (header) headers.push(`${givesPieces.header}: ${givesPieces.value}`);
  });
  await once(server, 'listening');
  const stop = new AbortController();
  const outcomes: unknown[] = [];
  const ended: Promise<unknown>[] = [];
  server.on('connection', (socket) => {
    const sending = sendContents(socket, source, stop.signal).catch((error: unknown) => error);
    ended.push(sending.then((outcome) => outcomes.push(outcome)));
  });
  const address = `127.0.0.1:${portOf(server)}`;
  return {
    outcomes,
    address,
    dial: () => dialContexts(address),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      for (const client of server.clients) client.terminate();
      server.close();
      await Promise.all(ended);
    },
  };
}

/** A socket that is open. Throws when it breaks before it is. */
export async function dialContexts(address: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${address}`, { perMessageDeflate: false, maxPayload: 1 << 20 });
  await once(socket, 'open');
  return socket;
}

/** Of a server that listens. */
export function portOf(server: WebSocketServer): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

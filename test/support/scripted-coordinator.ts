/** The coordinator's side of an agent's connections, over real sockets, as a test scripts it. */
import type { WebSocket } from 'ws';
import { toBuffer } from '../../shared/channel.ts';
import { decodeToCoordinator } from '../../shared/codec.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';
import { PROTOCOL_VERSION, type Hello, type ToAgent, type ToCoordinator } from '../../shared/messages.ts';
import { until } from './until.ts';
import { socketServer } from './web-sockets.ts';

export interface ScriptedCoordinatorOptions {
  /** Answers a hello; a welcome if not given. */
  readonly onHello?: (socket: WebSocket, hello: Hello) => void;
  /** Contents for the jobs; without it they wait for theirs for ever. */
  readonly contents?: ContentSource;
}

export interface ScriptedCoordinator extends AsyncDisposable {
  readonly url: URL;
  /** All that agents said, over all connections. */
  readonly messages: readonly ToCoordinator[];
  /** Open control connections, the newest last. */
  readonly agents: readonly WebSocket[];
  /** Connections for contents that are open now. */
  readonly openContexts: number;
  /** To the newest connection. */
  send(message: ToAgent): void;
  /** Messages of one kind so far. */
  heard<Type extends ToCoordinator['type']>(type: Type): Extract<ToCoordinator, { type: Type }>[];
  /** Waits until there are that many of a kind, and gives the last. */
  wait<Type extends ToCoordinator['type']>(
    type: Type,
    count?: number,
  ): Promise<Extract<ToCoordinator, { type: Type }>>;
}

export function welcome(timers: { heartbeat?: number; lost?: number } = {}): ToAgent {
  const { heartbeat = 10_000, lost = 45_000 } = timers;
  return { type: 'welcome', protocol: PROTOCOL_VERSION, version: '0.1.0', heartbeat, lost };
}

export async function scriptedCoordinator(
  options: ScriptedCoordinatorOptions = {},
): Promise<ScriptedCoordinator> {
  const { contents, onHello = (socket) => socket.send(JSON.stringify(welcome())) } = options;
  const messages: ToCoordinator[] = [];
  const agents: WebSocket[] = [];
  const contexts = new Set<WebSocket>();
  const stop = new AbortController();

  const serveAgent = (socket: WebSocket): void => {
    agents.push(socket);
    socket.on('close', () => void agents.splice(agents.indexOf(socket), 1));
    socket.on('message', (data) => {
      const message = decodeToCoordinator(toBuffer(data));
      messages.push(message);
      if (message.type === 'hello') onHello(socket, message);
    });
  };
  const serveContext = (socket: WebSocket): void => {
    contexts.add(socket);
    socket.on('close', () => contexts.delete(socket));
    if (contents !== undefined) sendContents(socket, contents, stop.signal).catch(() => {});
  };
  const server = await socketServer((socket, path) =>
    path === '/v1/agent' ? serveAgent(socket) : serveContext(socket),
  );

  function heard<Type extends ToCoordinator['type']>(type: Type): Extract<ToCoordinator, { type: Type }>[] {
    const isKind = (message: ToCoordinator): message is Extract<ToCoordinator, { type: Type }> =>
      message.type === type;
    return messages.filter(isKind);
  }

  return {
    url: server.url,
    messages,
    agents,
    get openContexts() {
      return contexts.size;
    },
    send: (message) => agents.at(-1)?.send(JSON.stringify(message)),
    heard,
    wait: (type, count = 1) =>
      until(() => heard(type)[count - 1], { what: `${count} messages of the kind ${type}` }),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await server[Symbol.asyncDispose]();
    },
  };
}

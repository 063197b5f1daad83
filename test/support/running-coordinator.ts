/** A coordinator that listens inside the test's process, with agents and clients as a test scripts them. */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import type { RegistryClient } from '../../coordinator/registry/client.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import type { Traffic } from '../../coordinator/registry/traffic.ts';
import {
  startCoordinator,
  type Coordinator,
  type CoordinatorOptions,
} from '../../coordinator/server/coordinator.ts';
import { toBuffer } from '../../shared/channel.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import { decodeToAgent } from '../../shared/codec.ts';
import { dial } from '../../shared/dial.ts';
import { silentLogger } from '../../shared/log.ts';
import type { Hello, ToAgent, ToCoordinator } from '../../shared/messages.ts';
import { defaultTimers, type Timers } from '../../shared/timers.ts';
import type { Hook } from './fault-proxy.ts';
import { startServer } from './logged-server.ts';
import { ask, type HttpAnswer, type HttpOptions } from './http-request.ts';
import { sampleHello } from './sample-messages.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

export const testToken = 'right-token';

export interface RunningCoordinator extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly url: URL;
  /** With the token, unless `headers` say otherwise. */
  ask(path: string, options?: HttpOptions): Promise<HttpAnswer>;
  /** A raw socket to a path, with the token. */
  connect(path: string, query?: Record<string, string>): Promise<WebSocket>;
  /** An agent that has said hello. */
  agent(hello?: Partial<Hello>): Promise<ScriptedAgent>;
}

export interface ScriptedAgent {
  readonly socket: WebSocket;
  readonly messages: readonly ToAgent[];
  send(message: ToCoordinator): void;
  /** Waits until there are that many messages of a kind, and gives the last. */
  wait<Type extends ToAgent['type']>(type: Type, count?: number): Promise<Extract<ToAgent, { type: Type }>>;
}

/** Whatever host a reference names, this is who answers. */
class OneRegistry extends Registries {
  readonly #host: string;

  constructor(host: string, traffic: Traffic | undefined) {
    super({ traffic });
    this.#host = host;
  }

  override client(): RegistryClient {
    return super.client(this.#host);
  }
}

/** Its registries are empty, and take every push that the hook has not answered. */
export async function runningCoordinator(
  timers: Partial<Timers> = {},
  hook: Hook = () => false,
  /** `data`: where builds survive it; without one they are gone with it. */
  {
    data,
    ...options
  }: Pick<CoordinatorOptions, 'maxQueued' | 'metrics'> &
    Partial<Pick<CoordinatorOptions, 'log' | 'notifications'>> & { readonly data?: string } = {},
): Promise<RunningCoordinator> {
  const cleanup = new Cleanup();
  const directory = await temporaryDirectory();
  cleanup.defer(() => directory[Symbol.asyncDispose]());
  const registry = await startServer(async (request, response) => {
    if (await hook(request, response)) return;
    const [status, headers] =
      request.method === 'POST' ? [202, { location: '/v2/upload' }] : [request.method === 'GET' ? 404 : 202];
    response.writeHead(status, headers).end();
  });
  cleanup.defer(() => registry[Symbol.asyncDispose]());
  const registries = new OneRegistry(registry.host, options.metrics?.traffic);
  cleanup.defer(() => registries[Symbol.asyncDispose]());
  const coordinator = await startCoordinator({
    listen: { host: '127.0.0.1', port: 0 },
    token: testToken,
    data: data ?? directory.path,
    cache: directory.path,
    durable: data !== undefined,
    registries,
    timers: { ...defaultTimers, tick: 20, ...timers },
    log: silentLogger,
    ...options,
  });
  cleanup.defer(() => coordinator.close());
  const sockets: WebSocket[] = [];
  cleanup.defer(() => sockets.forEach((socket) => socket.terminate()));
  const { url } = coordinator;

  async function connect(path: string, query: Record<string, string> = {}): Promise<WebSocket> {
    const socket = dial(path, { coordinator: url, token: testToken, query });
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'open');
    return socket;
  }
  return {
    coordinator,
    url,
    connect,
    ask: (path, options = {}) =>
      ask(new URL(path, url), {
        ...options,
        headers: { authorization: `Bearer ${testToken}`, ...options.headers },
      }),
    async agent(hello = {}) {
      const agent = listen(await connect('/v1/agent'));
      agent.send(sampleHello(hello));
      return agent;
    },
    [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
  };
}

function listen(socket: WebSocket): ScriptedAgent {
  const messages: ToAgent[] = [];
  socket.on('message', (data) => messages.push(decodeToAgent(toBuffer(data))));
  function heard<Type extends ToAgent['type']>(type: Type): Extract<ToAgent, { type: Type }>[] {
    const isKind = (message: ToAgent): message is Extract<ToAgent, { type: Type }> => message.type === type;
    return messages.filter(isKind);
  }
  return {
    socket,
    messages,
    send: (message) => socket.send(JSON.stringify(message)),
    wait: (type, count = 1) =>
      until(() => heard(type)[count - 1], { what: `${count} messages of the kind ${type}` }),
  };
}

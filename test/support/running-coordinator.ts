/** A coordinator that listens inside the test's process, with agents and clients as a test scripts them. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
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
import type { Hello, ToAgent, ToCoordinator } from '../../shared/messages.ts';
import { defaultTimers, type Timers } from '../../shared/timers.ts';
import type { TlsTrust } from '../../shared/trust.ts';
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
  /** Of its clients. */
  readonly trust: TlsTrust;
  /** With the token, unless `headers` say otherwise. */
  ask(path: string, options?: HttpOptions): Promise<HttpAnswer>;
  /** A raw socket to a path, with the token, or with what `trust` shows. */
  connect(path: string, query?: Record<string, string>, trust?: TlsTrust): Promise<WebSocket>;
  /** An agent that has said hello. */
  agent(hello?: Partial<Hello>, trust?: TlsTrust): Promise<ScriptedAgent>;
  /** What the coordinator found worth a warning, each as JSON. */
  readonly warnings: readonly string[];
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

export interface RunningOptions extends Pick<
  CoordinatorOptions,
  'cache' | 'history' | 'maxQueued' | 'metrics' | 'notifications' | 'tls' | 'clientCa' | 'tokenAgents'
> {
  /** Where builds survive it; without one they are gone with it. */
  readonly data?: string;
  /** Of clients, where the certificate is from elsewhere. */
  readonly trust?: TlsTrust;
  readonly log?: Logger;
}

/** Its registries are empty, and take every push that the hook has not answered. */
export async function runningCoordinator(
  timers: Partial<Timers> = {},
  hook: Hook = () => false,
  { data, trust: given, ...options }: RunningOptions = {},
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
  const warnings: string[] = [];
  const coordinator = await startCoordinator({
    listen: { host: '127.0.0.1', port: 0 },
    token: testToken,
    data: data ?? directory.path,
    cache: directory.path,
    durable: data !== undefined,
    registries,
    timers: { ...defaultTimers, tick: 20, ...timers },
    log: pino({ level: 'warn' }, { write: (line) => warnings.push(line) }),
    ...options,
  });
  cleanup.defer(() => coordinator.close());
  const sockets: WebSocket[] = [];
  cleanup.defer(() => sockets.forEach((socket) => socket.terminate()));
  const { url } = coordinator;

  const authority =
    options.tls?.type === 'own'
      ? [await readFile(join(data ?? directory.path, 'tls', 'ca.crt'), 'utf8')]
      : [];
  const plain: TlsTrust = given ?? (options.tls === undefined ? {} : { ca: authority });

  async function connect(
    path: string,
    query: Record<string, string> = {},
    trust?: TlsTrust,
  ): Promise<WebSocket> {
    const token = trust?.cert === undefined ? testToken : undefined;
    const socket = dial(path, { coordinator: url, token, query, trust: { ...plain, ...trust } });
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
        trust: { ...plain, ...options.trust },
        headers: { authorization: `Bearer ${testToken}`, ...options.headers },
      }),
    warnings,
    trust: plain,
    async agent(hello = {}, trust) {
      const agent = listen(await connect('/v1/agent', {}, trust));
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

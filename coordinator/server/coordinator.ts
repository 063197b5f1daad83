/** Puts a coordinator together: farm, agents, contexts, registries and the API, behind one port. */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fastify } from 'fastify';
import type { WebSocket } from 'ws';
import { parseAttempt } from '../../shared/attempt.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Timers } from '../../shared/timers.ts';
import { Contexts } from '../context/contexts.ts';
import type { AgentView } from '../farm/agent-state.ts';
import { Farm } from '../farm/farm.ts';
import { AgentPool } from '../farm/pool.ts';
import { taskOf } from '../farm/task.ts';
import type { Registries } from '../registry/registries.ts';
import { FrameLog } from '../store/frames.ts';
import { MemoryStore } from '../store/memory.ts';
import { buildOf, type Store } from '../store/store.ts';
import { Actions } from './actions.ts';
import { answer } from './answers.ts';
import { isLoopback, TokenAuth } from './auth.ts';
import { Publisher } from './publisher.ts';
import { ReceivedFrames } from './received-frames.ts';
import { addRoutes } from './routes.ts';
import { Secrets } from './secrets.ts';
import { SshTunnels } from './ssh-tunnels.ts';
import { acceptUpgrades } from './upgrade.ts';

export interface CoordinatorOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly token: string | undefined;
  /** Builds, their logs, and contexts. */
  readonly data: string;
  /** Contexts that other processes may share; below `data` where absent. */
  readonly cache?: string;
  /** Whether builds survive this process. */
  readonly durable: boolean;
  readonly registries: Registries;
  readonly timers: Timers;
  readonly log: Logger;
}

export interface Coordinator {
  /** The http form of where it listens. */
  readonly url: URL;
  /** The first agent that is there, now or when it comes. */
  agentJoined(): Promise<AgentView>;
  close(): Promise<void>;
}

/** Bytes of a request: a build with its secrets. */
const maxBody = 16 * 1024 * 1024;

/** Throws `config` where it may not or cannot listen, or cannot use its data directory. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const cleanup = new Cleanup();
  try {
    return await assemble(options, cleanup);
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

async function assemble(options: CoordinatorOptions, cleanup: Cleanup): Promise<Coordinator> {
  const { token, data, registries, timers, log, listen } = options;
  if (token === undefined && !isLoopback(listen.host)) {
    throw new ArchfarmError('config', `refusing to listen on ${listen.host} without a token`, {
      hint: 'set ARCHFARM_TOKEN or --token-file; agents and clients must present the same one',
    });
  }
  const store = await openStore(options);
  cleanup.defer(() => store[Symbol.asyncDispose]());
  const frames = new FrameLog({ directory: join(data, 'logs') });
  cleanup.defer(() => frames[Symbol.asyncDispose]());
  const blobs = await BlobStore.open(join(options.cache ?? data, 'contexts'));
  cleanup.defer(() => blobs[Symbol.asyncDispose]());
  const secrets = new Secrets();
  const tunnels = new SshTunnels();
  const publisher = new Publisher({
    registries,
    log,
    onEvent: (build, event) => frames.append(build, { events: [event] }),
  });
  const farm: Farm = new Farm({
    store,
    timers,
    handlers: {
      offer: ({ attempt, agent, session }) => {
        const spec = farm.spec(attempt.build);
        if (spec !== undefined) pool.offer(attempt, { agent, session }, taskOf(spec, attempt));
      },
      cancel: ({ attempt, agent, reason }) => pool.cancel(attempt, agent, reason),
      verify: (effect) => publisher.verify(farm, effect),
      publish: (effect) => publisher.publish(farm, effect),
      notify: ({ build, platform, agent, event }) =>
        void frames.append(build, { platform, agent, events: [event] }),
      settle: ({ attempt, agent }) => pool.settle(attempt, agent),
      finished: ({ build, result }) => {
        frames.append(build, { events: [{ type: 'result', time: farm.now, result }] });
        secrets.forget(build);
        contexts.release(build);
        received.forget(build);
      },
      trouble: (error) => log.error({ err: error }, 'the farm could not do something'),
    },
  });
  const contexts = new Contexts({ store: blobs, log, returnWithin: timers.lost });
  cleanup.defer(() => contexts.close());
  const received = new ReceivedFrames();
  const pool: AgentPool = new AgentPool({
    timers,
    log,
    services: {
      now: () => farm.now,
      record: (event) => {
        const build = buildOf(event);
        farm.note({ type: 'context-sent', at: farm.now, build, bytes: contexts.receivedBytes(build) });
        return farm.record(event);
      },
      note: (event) => farm.note(event),
      isOpen: (attempt, agent) => farm.wants(attempt, agent),
      append: (attempt, { agent, frame, events }) => {
        if (frame <= (received.last(attempt) ?? 0)) return;
        frames.append(attempt.build, { platform: attempt.platform, agent, events });
        received.note(attempt, frame);
      },
      lastFrame: (attempt) => received.last(attempt),
      answer: (attempt, question, signal) =>
        answer({ attempt, question }, { registries, secrets, spec: (build) => farm.spec(build) }, signal),
    },
  });
  await farm.restore();
  cleanup.defer(() => farm.close());
  cleanup.defer(() => publisher.close());
  for (const [build, { context, dockerfile }] of farm.specs()) {
    await contexts.restore(build, [context.root, dockerfile.root]);
  }

  const serveAgent = (socket: WebSocket, agent: string): void =>
    contexts.serveAgent(socket, { agent, builds: () => farm.buildsOn(agent) });
  const liveBuild = (text: string | null): string => {
    const attempt = parseAttempt(text ?? '');
    if (attempt !== undefined && farm.isOpen(attempt.build)) return attempt.build;
    throw new ArchfarmError('not-found', `no build goes on for the attempt ${JSON.stringify(text)}`);
  };
  const auth = new TokenAuth(token);
  const app = fastify({ bodyLimit: maxBody, forceCloseConnections: true });
  addRoutes(app, auth, new Actions({ farm, frames, contexts, secrets }));
  const sockets = acceptUpgrades(app.server, {
    auth,
    log,
    routes: {
      agent: (socket, from) => pool.join(socket, from),
      agentContext: (socket, query) => serveAgent(socket, query.get('agent') ?? ''),
      agentSsh: async (query) => tunnels.open(liveBuild(query.get('attempt')), query.get('id') ?? ''),
      clientContext: (socket, query) =>
        contexts.link(socket, { id: query.get('link') ?? '', build: query.get('build') ?? undefined }),
      clientSsh: (socket, query) =>
        tunnels.listen(query.get('build') ?? '', (query.get('ids') ?? '').split(','), socket),
      clientTunnel: (socket, query) => tunnels.arrived(query.get('tunnel') ?? '', socket),
    },
  });
  cleanup.defer(() => app.close());
  cleanup.defer(() => {
    pool.close();
    for (const socket of sockets.clients) socket.close(1012, 'the coordinator stops');
    sockets.close();
  });
  await app.listen(listen).catch((cause: unknown) => {
    throw new ArchfarmError('config', `cannot listen on ${listen.host}:${listen.port}: ${messageOf(cause)}`, {
      cause,
    });
  });
  const url = urlOf(app.server.address(), listen.host);
  log.info({ url: url.href, data, durable: options.durable }, 'coordinator listens');
  return {
    url,
    async agentJoined() {
      await pool.joined();
      for (;;) {
        const [first] = farm.agents();
        if (first !== undefined) return first;
        // The farm takes what it is told in the next turns of the event loop.
        await nextTurn();
      }
    },
    close: () => cleanup[Symbol.asyncDispose](),
  };
}

async function openStore({ durable, data }: CoordinatorOptions): Promise<Store> {
  if (!durable) return new MemoryStore();
  const { SqliteStore } = await import('../store/sqlite.ts');
  return SqliteStore.open(data);
}

function urlOf(address: AddressInfo | string | null, host: string): URL {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}/`);
}

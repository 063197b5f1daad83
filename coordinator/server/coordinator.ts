/** Puts a coordinator together: farm, agents, contexts, registries and the API, behind one port. */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fastify } from 'fastify';
import { isLoopback } from '../../shared/address.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import { defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import { BlobStore } from '../../shared/context/store.ts';
import type { StoreBounds } from '../../shared/context/sweep.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { Contexts } from '../context/contexts.ts';
import type { AgentView } from '../farm/agent-state.ts';
import { Farm } from '../farm/farm.ts';
import { AgentPool } from '../farm/pool.ts';
import { specTrees } from '../farm/task.ts';
import type { Notifications } from '../notify/notifications.ts';
import { BuildProofs } from '../proof/build-proofs.ts';
import { Proofs } from '../proof/proofs.ts';
import type { Registries } from '../registry/registries.ts';
import { DiskRoom } from '../store/disk-room.ts';
import { FrameLog } from '../store/frames.ts';
import { defaultHistory, History, type HistoryBounds } from '../store/history.ts';
import { MemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { Authenticator } from '../trust/authenticator.ts';
import { Connections } from '../trust/connections.ts';
import { meetAgent, shownAgent, shownUser } from '../trust/shown-certificate.ts';
import { Actions } from './actions.ts';
import { Admission } from './admission.ts';
import { BasePulls } from './base-pulls.ts';
import { addDashboard } from './dashboard.ts';
import { decodableUrl } from './decodable-url.ts';
import { Door } from './door.ts';
import { FarmFeed } from './farm-feed.ts';
import { FollowUps } from './follow-ups.ts';
import { Guard } from './guard.ts';
import type { Metrics } from './metrics/metrics.ts';
import { openTrust, type TrustOptions } from './open-trust.ts';
import { Preflight } from './preflight.ts';
import { Publisher } from './publisher.ts';
import { Readiness } from './readiness.ts';
import { ReceivedFrames } from './received-frames.ts';
import { addRoutes } from './routes.ts';
import { Secrets } from './secrets.ts';
import { SshTunnels } from './ssh-tunnels.ts';
import { expelTokenAgents, tokenRefusal } from './token-agents.ts';
import { acceptUpgrades } from './upgrade.ts';
import { effectHandlers, sessionServices, upgradeRoutes, type Parts } from './wiring.ts';

export interface CoordinatorOptions extends TrustOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Agents without a certificate may come although others have one. */
  readonly tokenAgents?: boolean;
  /** Contexts that other processes may share; below `data` where absent. */
  readonly cache?: string;
  /** Size and age of the contexts that are kept, where not the usual ones. */
  readonly contextStore?: Partial<StoreBounds>;
  /** How large a context may be, where not as usual. */
  readonly contextLimits?: ContextLimits;
  /** How much of history stays, where not as usual. */
  readonly history?: Partial<HistoryBounds>;
  /** Bytes of output that the log keeps of a task, where not as usual. */
  readonly outputLimit?: number | undefined;
  /** Builds that may wait for their first agent, where not as usual. */
  readonly maxQueued?: number | undefined;
  readonly registries: Registries;
  /** Of this process, where somebody may read them. */
  readonly metrics?: Metrics | undefined;
  /** Who is told what becomes of builds. */
  readonly notifications?: Notifications | undefined;
}

export interface Coordinator {
  /** The http(s) form of where it listens. */
  readonly url: URL;
  /** The first agent that is there, now or when it comes. */
  agentJoined(): Promise<AgentView>;
  close(): Promise<void>;
}

/** Bytes of a request: a build with its secrets. */
const maxBody = 16 * 1024 * 1024;
/** Milliseconds between looks at what may go from history. */
const historyInterval = 600_000;
/** Milliseconds for a peer to answer the close of its socket. */
const closePatience = 2000;

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
  const { token, tokenAgents = false, data, registries, metrics, timers, log, listen } = options;
  const store = await openStore(options);
  cleanup.defer(() => store[Symbol.asyncDispose]());
  const { users, tls, audit, refusals, identities, alarm } = await openTrust(
    { ...options, joined: () => expelTokenAgents(parts) },
    store,
    cleanup,
  );
  const frames = new FrameLog({
    directory: join(data, 'logs'),
    ...(options.outputLimit === undefined ? {} : { outputLimit: options.outputLimit }),
  });
  cleanup.defer(() => frames[Symbol.asyncDispose]());
  const blobs = await BlobStore.open(join(options.cache ?? data, 'contexts'), {
    // Nobody else has the one in our own data directory, and what open builds rely on is pinned.
    ...(options.cache === undefined ? { recentOnFullDisk: 0 } : {}),
    ...options.contextStore,
  });
  cleanup.defer(() => blobs[Symbol.asyncDispose]());
  const room = new DiskRoom(frames.directory, blobs);
  cleanup.defer(() => room[Symbol.dispose]());
  const farm = new Farm({
    store,
    timers,
    handlers: effectHandlers(() => parts),
    onArchived: metrics?.ended,
  });
  const connections = new Connections();
  const services = sessionServices(() => parts);
  const pool = new AgentPool({
    timers,
    log,
    services,
    identities,
    tokenRefusal: (name) => tokenRefusal({ identities, tokenAgents }, name),
    alarm,
  });
  const proofs = new Proofs({
    agents: () => farm.agents(),
    pool,
    pullAuth: (host, repositories, signal) => registries.pullAuth(host, repositories, signal),
    timers,
  });
  const parts: Parts = {
    farm,
    pool,
    proofs,
    buildProofs: new BuildProofs({
      proofs,
      timers,
      log,
      append: (build, told) => frames.append(build, told),
    }),
    contexts: new Contexts({
      store: blobs,
      limits: options.contextLimits ?? defaultLimits,
      log,
      returnWithin: timers.lost,
      patience: timers.selection,
      openTasks: (build) => farm.openTasks(build),
    }),
    frames,
    feed: new FarmFeed({
      view: () => ({ agents: farm.agents(), builds: farm.summaries() }),
      now: () => farm.now,
    }),
    received: new ReceivedFrames(),
    publisher: new Publisher({
      registries,
      timers,
      log,
      onEvent: (build, event) => frames.append(build, { events: [event] }),
      onPublished: (build, published) =>
        audit.record({ action: 'publish', who: farm.clientOf(build), build, ...published }),
    }),
    registries,
    preflight: new Preflight(registries),
    secrets: new Secrets(),
    basePulls: new BasePulls(),
    tunnels: new SshTunnels(),
    audit,
    notifications: options.notifications,
    identities,
    connections,
    pin: () => tls?.pin,
    tokenAgents,
    log,
  };
  metrics?.watch({ farm, identities, store: () => parts.contexts.usage() });
  cleanup.defer(() => parts.contexts.close());
  cleanup.defer(() => farm.close());
  cleanup.defer(() => parts.publisher.close());
  cleanup.defer(() => parts.buildProofs.close());
  await farm.restore();
  // Whoever removed them may not have lived to see what they had given to others.
  const remembered = farm.remembered();
  for (const name of identities.removed) if (remembered.has(name)) await farm.removeAgent(name);
  for (const { id, spec, client } of farm.submitted()) {
    const isOpen = (): boolean => farm.isOpen(id);
    // The first of many may end while others are restored.
    if (!isOpen()) continue;
    frames.begin(id);
    await parts.contexts.restore(id, { trees: specTrees(spec), client, isOpen });
  }
  // What was unused for long while nobody ran may be what those builds wait for.
  blobs.begin();

  let door: Door | undefined;
  const app = fastify({
    bodyLimit: maxBody,
    rewriteUrl: ({ url = '/' }) => decodableUrl(url),
    forceCloseConnections: true,
    serverFactory: (handler) => (door = new Door(handler, tls?.current)).server,
  });
  cleanup.defer(
    tls?.follow((changed) => {
      door?.show(changed);
      log.info('goes by new certificates from now on');
    }) ?? (() => {}),
  );
  const actions = new Actions({
    ...parts,
    followUps: new FollowUps(parts),
    admission: new Admission(farm, {
      maxQueued: options.maxQueued,
      requireRoom: () => room.require(),
    }),
  });
  const guard = new Guard({
    authenticator: new Authenticator({
      token,
      onlyHere: isLoopback(listen.host),
      userOf: (hash) => users.withTokenHash(hash),
      agentOf: (socket) => shownAgent(socket, identities, users),
      shownUserOf: (socket) => shownUser(socket, users),
    }),
    connections,
    refusals,
    admitted: (socket) => door?.admit(socket),
    worked: (agent, socket) => meetAgent(agent, socket, identities),
  });
  const readiness = new Readiness(data);
  addDashboard(app);
  addRoutes(app, {
    guard,
    identities,
    actions,
    audit,
    users,
    tls,
    connections,
    proofs: parts,
    readiness,
    metrics,
    followerPatience: timers.follower,
  });
  const sockets = acceptUpgrades(app.server, { guard, log, routes: upgradeRoutes(parts) });
  cleanup.defer(() => app.close());
  cleanup.defer(() => {
    readiness.stop();
    parts.pool.close();
    for (const socket of sockets.clients) socket.close(1012, 'the coordinator stops');
    sockets.close();
    // A peer that does not answer the close must not hold the server, which waits for all its sockets.
    setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, closePatience).unref();
  });
  await app.listen(listen).catch((cause: unknown) => {
    throw new ArchfarmError('config', `cannot listen on ${listen.host}:${listen.port}: ${messageOf(cause)}`, {
      cause,
    });
  });
  const url = urlOf(app.server.address(), { host: listen.host, secure: tls !== undefined });
  const bounds = { ...defaultHistory, ...options.history };
  const history = new History({ store, frames, bounds, now: () => farm.now });
  cleanup.defer(() => history.close());
  history.start(historyInterval, (err) => log.error({ err }, 'history could not be cleared'));
  log.info({ url: url.href, data, durable: options.durable }, 'coordinator listens');
  return {
    url,
    async agentJoined() {
      await parts.pool.joined();
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

function urlOf(
  address: AddressInfo | string | null,
  { host, secure }: { host: string; secure: boolean },
): URL {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return new URL(`${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}/`);
}

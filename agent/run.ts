/** `archfarm-agent run`: puts the parts together and owns the process's end. */
import { join } from 'node:path';
import { inClearWarning, isInClear } from '../shared/address.ts';
import { makeDataDirectory } from '../shared/data-directory.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { keepHeapSmall } from '../shared/small-heap.ts';
import type { ProcessUsage } from '../shared/process-usage.ts';
import { timersFrom, type Timers } from '../shared/timers.ts';
import { version } from '../shared/version.ts';
import { CertificateWatch } from './certificate-watch.ts';
import type { AgentConfig } from './config.ts';
import { ContextLink } from './context-link.ts';
import { Disks } from './disks.ts';
import { EngineWatch } from './engine-watch.ts';
import { Engine } from './engine/engine.ts';
import { Journal } from './journal.ts';
import { OwnImages } from './own-images.ts';
import { ProcessWatch } from './process-watch.ts';
import type { Parent } from './parent.ts';
import { Reclaim } from './reclaim.ts';
import { serveStatus, type AgentStatus } from './status-socket.ts';
import { Worker } from './worker.ts';

/** What the agent tells of itself until it has looked at its engine and read what it has in hand. */
const starting = {
  connected: false,
  error: 'the agent is starting',
  state: 'cordoned',
  reason: 'the agent is starting: it waits for its engine',
  platforms: [],
  jobs: [],
  unsettled: 0,
} as const satisfies Partial<AgentStatus>;

/** Returns when the agent has drained or was told to end at once. */
export async function runAgent(config: AgentConfig, parent?: Parent): Promise<void> {
  keepHeapSmall();
  const log = createLogger('archfarm-agent').child({ agent: config.name });
  const timers = timersFrom(process.env);
  const stop = new AbortController();

  // Who takes no work for that still has reports to bring to the coordinator.
  await makeDataDirectory(config.data, '--data or ARCHFARM_DATA', { mayBeReadOnly: true });
  const facts = { pid: process.pid, version, name: config.name, coordinator: config.coordinator.href };
  let status = (): AgentStatus => ({ ...facts, ...starting, slots: config.slots });
  await using _status = await serveStatus(config.data, () => status(), { log, again: timers.engineLook });
  const docker = new Engine({
    host: config.docker,
    environment: process.env,
    dataDirectory: config.cache,
    owner: `${config.name} ${config.data}`,
  });
  const images = await OwnImages.open(join(config.data, 'images.ndjson'));
  const reclaim = new Reclaim({ engine: docker, images, keepCache: config.keepCache, log });
  // Who builds without a farm does so with an engine that is theirs to tidy up.
  const isOfFarm = parent === undefined;
  const disks = new Disks({
    watermark: config.minFree,
    paths: [config.data, config.cache],
    log,
    ...(isOfFarm ? { makeRoom: reclaim.makeRoom.bind(reclaim) } : {}),
  });
  const engine = new EngineWatch({
    engine: docker,
    restrictTo: config.platforms,
    log,
    interval: timers.engineLook,
    lostAfter: timers.engineLost,
    disks,
    // Whoever started this agent for one build has nothing to wait for.
    mustBuild: parent !== undefined,
  });
  await engine.start(stop.signal);
  const journal = await Journal.open(join(config.data, 'journal.ndjson'), log);
  const contexts = await ContextLink.open({ config, timers, log });
  using watch = new ProcessWatch();
  const usage = (): ProcessUsage => watch.take();
  const worker = new Worker({ config, timers, engine, journal, contexts, images, usage, log });
  status = () => ({
    ...facts,
    ...worker.status(),
    reclaimed: reclaim.reclaimed,
    platforms: [...engine.platforms],
    jobs: [...worker.status().jobs],
  });
  // `name` is the program's in every record.
  const { name: _, ...rest } = facts;
  log.info({ ...rest, platforms: engine.platforms, slots: config.slots }, 'agent started');
  const { coordinator, token } = config;
  if (token !== undefined && isInClear(coordinator)) log.warn(inClearWarning(coordinator));

  const signals = stopOnSignals(worker, log);
  parent?.onGone(() => void worker.abort('the process that started this agent is gone'));
  const watching = [
    engine.run(stop.signal),
    watchCertificate(config, { timers, worker, log })(stop.signal),
    ...(isOfFarm ? [reclaim.run(stop.signal)] : []),
  ];
  try {
    await worker.run();
  } finally {
    if (process.connected) process.disconnect();
    signals[Symbol.dispose]();
    stop.abort();
    await Promise.all([...watching, disks.settled()]);
    await contexts.close();
    await journal.close();
  }
  log.info('agent stopped');
}

/** For an agent that has one. */
function watchCertificate(
  { coordinator, trust, certificate, data }: AgentConfig,
  { timers, worker, log }: { readonly timers: Timers; readonly worker: Worker; readonly log: Logger },
): (signal: AbortSignal) => Promise<void> {
  if (certificate === undefined) return () => Promise.resolve();
  const watch = new CertificateWatch({
    coordinator,
    trust,
    files: certificate.files,
    data: certificate.isOwn ? data : undefined,
    interval: timers.certificateLook,
    log,
    changed: () => worker.showAgain('it has another certificate'),
  });
  return (signal) => watch.run(signal);
}

/** The first SIGTERM or SIGINT drains, the second cancels what runs. */
function stopOnSignals(worker: Worker, log: Logger): Disposable {
  let count = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    count += 1;
    log.info({ signal, count }, count === 1 ? 'draining; again to cancel what runs' : 'cancelling');
    const stopping = count === 1 ? worker.drain() : worker.abort(`the agent got ${signal} twice`);
    stopping.catch((error: unknown) => log.error({ err: error }, 'could not stop'));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    [Symbol.dispose]() {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}

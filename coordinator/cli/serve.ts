/** `archfarm serve`: a coordinator in the foreground, until it is told to stop. */
import { once } from 'node:events';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { readStoreBounds } from '../../shared/context/store-bounds.ts';
import { makeDataDirectory } from '../../shared/data-directory.ts';
import { createLogger } from '../../shared/log.ts';
import { keepHeapSmall } from '../../shared/small-heap.ts';
import { Registries } from '../registry/registries.ts';
import { startCoordinator } from '../server/coordinator.ts';
import { Metrics } from '../server/metrics/metrics.ts';
import { openNotifications } from './notification-options.ts';
import { readContextLimits } from './context-limits.ts';
import { readHistoryBounds, readLogLimit } from './history-bounds.ts';
import { readToken, type GlobalOptions } from './global-options.ts';
import { registriesOptions } from './registry-options.ts';
import { readMaxQueued, readTimers, readTlsSource, type ServeOptions } from './serve-options.ts';

export async function runServe(options: ServeOptions, global: GlobalOptions): Promise<void> {
  keepHeapSmall();
  const log = createLogger('archfarm');
  const tls = readTlsSource(options);
  const history = readHistoryBounds(options);
  const outputLimit = readLogLimit(options);
  const data = dataDirectory(options.data);
  await makeDataDirectory(data, '--data');
  using metrics = new Metrics();
  await using registries = new Registries({
    ...registriesOptions(options),
    grantPasswords: options.passwordsToAgents,
    traffic: metrics.traffic,
  });
  await registries.check();
  await using notifications = await openNotifications(options, { data, log, environment: process.env });
  const coordinator = await startCoordinator({
    listen: options.listen,
    token: await readToken(global.tokenFile),
    tls,
    clientCa: options.clientCa,
    tokenAgents: options.tokenAgents === true,
    insecureListen: options.insecureListen === true,
    data,
    durable: true,
    contextStore: readStoreBounds(options.contextStore, process.env),
    contextLimits: readContextLimits(options.contextLimit ?? [], process.env),
    history,
    outputLimit,
    registries,
    metrics,
    notifications,
    maxQueued: readMaxQueued(options.maxQueued),
    timers: readTimers(options.stallLimit, process.env),
    log,
  });
  try {
    if (!global.signal.aborted) await once(global.signal, 'abort');
    log.info('stopping; builds go on when it is started again');
  } finally {
    await coordinator.close();
  }
}

/** `/var/lib/archfarm` for root, else below `$XDG_STATE_HOME`. */
function dataDirectory(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  if (process.getuid?.() === 0) return '/var/lib/archfarm';
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'archfarm');
}

/** A coordinator inside this process, and one agent for this machine's engine: the farm of a server-less build. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { untilAborted } from '../../shared/abort.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import type { ContextLimits } from '../../shared/context/limits.ts';
import { readStoreBounds } from '../../shared/context/store-bounds.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { silentLogger } from '../../shared/log.ts';
import { timersFrom } from '../../shared/timers.ts';
import { cacheDirectory, cacheProblem } from '../cache-directory.ts';
import type { Registries } from '../registry/registries.ts';
import { makeScratch } from '../scratch.ts';
import { startCoordinator } from '../server/coordinator.ts';
import { LocalAgent } from './local-agent.ts';

export interface LocalFarm extends AsyncDisposable {
  readonly url: URL;
  readonly token: string;
  /** Rejects when the agent is gone, with the reason. */
  readonly failed: Promise<never>;
}

export interface LocalFarmOptions {
  readonly contextLimits: ContextLimits;
  readonly signal: AbortSignal;
  /** Hears warnings. */
  readonly tell: (warning: string) => void;
}

/** Resolves once the agent is ready. Throws what keeps this machine's engine from building. */
export async function startLocalFarm(
  registries: Registries,
  { contextLimits, signal, tell }: LocalFarmOptions,
): Promise<LocalFarm> {
  const cleanup = new Cleanup();
  try {
    const directory = await makeScratch('archfarm-');
    cleanup.defer(() => directory[Symbol.asyncDispose]());
    const scratch = directory.path;
    const token = randomBytes(24).toString('base64url');
    const cache = await usableCache(join(scratch, 'cache'), tell);
    const coordinator = await startCoordinator({
      listen: { host: '127.0.0.1', port: 0 },
      token,
      data: scratch,
      cache,
      durable: false,
      contextStore: readStoreBounds(undefined, process.env),
      contextLimits,
      registries,
      timers: timersFrom(process.env),
      log: silentLogger,
    });
    cleanup.defer(() => coordinator.close());
    const agent = new LocalAgent({
      coordinator: coordinator.url,
      token,
      data: join(scratch, 'agent'),
      cache,
    });
    cleanup.defer(() => agent.stop());
    const view = await untilAborted(Promise.race([coordinator.agentJoined(), agent.failed]), signal);
    if (view.state === 'cordoned') throw engineDown(view.reason);
    const { url } = coordinator;
    return { url, token, failed: agent.failed, [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose]() };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

/** The user's own, where it can be written: services and containers may have no home. */
async function usableCache(otherwise: string, tell: LocalFarmOptions['tell']): Promise<string> {
  const cache = cacheDirectory(process.env);
  const problem = await cacheProblem(cache);
  if (problem === undefined) return cache;
  tell(
    `nothing is kept for later builds: cannot write ${cache}: ${problem}; XDG_CACHE_HOME names another place`,
  );
  return otherwise;
}

function engineDown(reason = 'it gives no reason'): ArchfarmError {
  return new ArchfarmError('engine-down', `this machine's Docker Engine cannot build: ${reason}`, {
    hint: 'is it running, and may you use it? DOCKER_HOST says which one is meant',
  });
}

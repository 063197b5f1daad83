/** The farm that a build runs on: the configured coordinator, or one in this process for this machine's engine. */
import { ArchfarmError } from '../../shared/errors.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import type { TlsTrust } from '../../shared/trust.ts';
import { Api } from './api.ts';
import type { BuildOptions } from './build-options.ts';
import { configuredCoordinator, type GlobalOptions } from './global-options.ts';
import { warn } from './own-words.ts';
import { givenRegistryFlag, registriesOptions } from './registry-options.ts';

export interface FarmAccess extends AsyncDisposable {
  readonly url: URL;
  readonly token: string | undefined;
  readonly trust?: TlsTrust | undefined;
  readonly api: Api;
  /** Whether the farm is this process's own, and ends with it. */
  readonly local: boolean;
  /** Rejects when a farm of our own cannot go on. */
  readonly failed: Promise<never>;
}

export type AccessOptions = Pick<BuildOptions, 'registry' | 'detach' | 'contextLimits'>;

/** Throws `config` for what only one of the two can do. */
export async function accessFarm(options: AccessOptions, global: GlobalOptions): Promise<FarmAccess> {
  const configured = await configuredCoordinator(global);
  if (configured === undefined) return localFarm(options, global);
  const flag = givenRegistryFlag(options.registry);
  if (flag !== undefined) {
    throw new ArchfarmError('config', `${flag} is the coordinator's to say, not a client's`, {
      hint: `start it with archfarm serve ${flag} …`,
    });
  }
  const api = new Api(configured);
  const never = new Promise<never>(() => {});
  return {
    ...configured,
    api,
    local: false,
    failed: never,
    [Symbol.asyncDispose]: async () => api[Symbol.dispose](),
  };
}

async function localFarm(options: AccessOptions, { signal, quiet }: GlobalOptions): Promise<FarmAccess> {
  if (options.detach) {
    throw new ArchfarmError('config', '--detach needs a coordinator that outlives this command', {
      hint: 'set --coordinator or ARCHFARM_COORDINATOR; start one with archfarm serve',
    });
  }
  const cleanup = new Cleanup();
  try {
    // The client of registries is loaded where one is spoken to: with a coordinator, not here.
    const { Registries } = await import('../registry/registries.ts');
    const registries = new Registries(registriesOptions(options.registry));
    cleanup.defer(() => registries[Symbol.asyncDispose]());
    await registries.check();
    const { startLocalFarm } = await import('./local.ts');
    const farm = await startLocalFarm(registries, {
      contextLimits: options.contextLimits,
      signal,
      tell: (warning) => {
        if (!quiet) warn(warning);
      },
    });
    cleanup.defer(() => farm[Symbol.asyncDispose]());
    const { url, token, failed } = farm;
    const api = new Api({ url, token });
    cleanup.defer(() => api[Symbol.dispose]());
    return {
      url,
      token,
      api,
      local: true,
      failed,
      [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
    };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

/** A farm on one machine: a registry, a coordinator, and two agents with an engine each, all separate processes. */
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { startEmulation } from './emulation.ts';
import { startEngine, type RunningEngine } from './engine.ts';
import { startRegistry, type RegistryOptions } from './registry.ts';
import { freePort } from './free-port.ts';
import { Resources } from './resources.ts';
import { scratchDirectory } from './scratch.ts';
import { startService, type RunningService } from './service.ts';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

export const archfarmCommand = `${dist}/archfarm.js`;

/** Each engine is named for the platform whose images the demo runs on it. */
type EnginePlatform = 'linux/amd64' | 'linux/arm64';

export interface FarmAgent {
  readonly name: string;
  readonly engine: EnginePlatform;
  readonly platforms: readonly string[];
  readonly slots?: number;
}

export interface FarmOptions {
  /** Agent `a` offering linux/amd64 and agent `b` linux/arm64 if not given. */
  readonly agents?: readonly FarmAgent[];
  readonly registry?: RegistryOptions;
}

export interface RunningFarm extends AsyncDisposable {
  /** `127.0.0.1:PORT` of the coordinator. */
  readonly coordinator: string;
  /** `127.0.0.1:PORT` */
  readonly registry: string;
  readonly engines: Readonly<Record<EnginePlatform, RunningEngine>>;
  /** The coordinator's process; its port stays when it is started again. */
  readonly server: RunningService;
  readonly agents: ReadonlyMap<string, RunningService>;
  /** The processes' data and logs. */
  readonly directory: string;
  /** What commands need to use this farm, with configuration and caches of their own. */
  readonly env: NodeJS.ProcessEnv;
}

const twoAgents: readonly FarmAgent[] = [
  { name: 'a', engine: 'linux/amd64', platforms: ['linux/amd64'] },
  { name: 'b', engine: 'linux/arm64', platforms: ['linux/arm64'] },
];

/** All agents are connected when this returns. */
export async function startFarm(options: FarmOptions = {}): Promise<RunningFarm> {
  await using started = new Resources();
  const scratch = started.use(await scratchDirectory('farm'));
  const { agents: offered = twoAgents } = options;
  // Not without need: engines try an emulator several times in every build.
  if (offered.some(({ platforms }) => platforms.includes('linux/arm64'))) started.use(await startEmulation());
  // One after the other: with what a failed start leaves half done, there would be nobody to end it.
  const registry = started.use(await startRegistry(options.registry));
  const engines = {
    'linux/amd64': started.use(await startEngine({ name: 'a' })),
    'linux/arm64': started.use(await startEngine({ name: 'b' })),
  };

  const coordinator = `127.0.0.1:${await freePort()}`;
  const env = {
    ...process.env,
    ARCHFARM_COORDINATOR: coordinator,
    REGISTRY: registry.host,
    PYTHON_IMAGE: `${registry.host}/onap/python-base`,
    DOCKER_CONFIG: `${scratch.path}/docker-config`,
    XDG_CACHE_HOME: `${scratch.path}/cache`,
    XDG_STATE_HOME: `${scratch.path}/state`,
  };
  const serve = ['serve', '--listen', coordinator, '--data', `${scratch.path}/coordinator`];
  const server = started.use(
    await startService([process.execPath, archfarmCommand, ...serve], {
      log: `${scratch.path}/coordinator.log`,
      env,
      ready: () => listens(coordinator),
    }),
  );
  const agents = new Map<string, RunningService>();
  for (const { name, engine, platforms, slots = 2 } of offered) {
    const offer = ['--name', name, '--platform', platforms.join(','), '--slots', String(slots)];
    const flags = [...offer, '--data', `${scratch.path}/agent-${name}`];
    const agent = await startService([process.execPath, `${dist}/archfarm-agent.js`, 'run', ...flags], {
      log: `${scratch.path}/agent-${name}.log`,
      env: { ...env, DOCKER_HOST: engines[engine].host },
      ready: () => isReady(name, coordinator),
    });
    agents.set(name, started.use(agent));
  }
  const resources = started.move();
  return {
    coordinator,
    registry: registry.host,
    engines,
    server,
    agents,
    directory: scratch.path,
    env,
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

async function isReady(name: string, coordinator: string): Promise<boolean> {
  const answer = await fetch(`http://${coordinator}/v1/agents`).catch(() => undefined);
  if (answer === undefined) return false;
  const { agents } = v.parse(agentList, await answer.json());
  return agents.some((agent) => agent.name === name && agent.state === 'ready');
}

const agentList = v.object({ agents: v.array(v.object({ name: v.string(), state: v.string() })) });

export function listens(address: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const socket = createConnection(Number(port), hostname, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

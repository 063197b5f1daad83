/** A coordinator and its agents as processes of their own, over engines and registries of the test's choice. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';

export const agentCommand = `${dirname(archfarmCommand)}/archfarm-agent.js`;

export interface FarmProcesses extends AsyncDisposable {
  /** `127.0.0.1:PORT` of the coordinator. */
  readonly address: string;
  /** Holds the data directories and logs of coordinator and agents, and nothing of the clients. */
  readonly dir: string;
  /** For clients of this farm. */
  readonly env: NodeJS.ProcessEnv;
  readonly coordinator: Daemon;
  readonly agents: readonly Daemon[];
  /** As a power cut ends it; it is away until `startCoordinator`. */
  killCoordinator(): Promise<void>;
  /** On its old data and port. */
  startCoordinator(): Promise<void>;
}

export interface FarmProcessesOptions {
  readonly agents: readonly {
    readonly name: string;
    readonly platforms: readonly string[];
    /** As DOCKER_HOST takes it. */
    readonly engine: string;
    /** `NAME=VALUE` each. */
    readonly labels?: readonly string[];
    /** What its builds may ask of the engine. */
    readonly allow?: string;
  }[];
  /** What only the coordinator gets. */
  readonly coordinatorEnv?: NodeJS.ProcessEnv;
  /** Its data directory, if it is not to be below that of all processes. */
  readonly coordinatorData?: string;
}

/** All agents are connected when this resolves. */
export async function startFarmProcesses(options: FarmProcessesOptions): Promise<FarmProcesses> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('processes'));
  const home = started.use(await scratchDirectory('home'));
  const env = await isolatedEnv(home.path);
  const address = `127.0.0.1:${await freePort()}`;
  const data = options.coordinatorData ?? `${dir}/coordinator`;
  const serve = ['serve', '--listen', address, '--data', data];
  const startCoordinator = (): Promise<Daemon> =>
    startDaemon([process.execPath, archfarmCommand, ...serve], {
      log: `${dir}/coordinator.log`,
      env: { ...env, ...options.coordinatorEnv },
      ready: () => isServed(address),
    });
  let coordinator = await startCoordinator();
  started.defer(() => coordinator[Symbol.asyncDispose]());

  const agents: Daemon[] = [];
  for (const { name, platforms, engine, labels = [], allow } of options.agents) {
    const flags = ['--name', name, '--platform', platforms.join(','), '--data', `${dir}/${name}`];
    flags.push(...labels.flatMap((label) => ['--label', label]));
    if (allow !== undefined) flags.push('--allow', allow);
    const agent = await startDaemon(
      [process.execPath, agentCommand, 'run', '--coordinator', address, ...flags],
      {
        log: `${dir}/${name}.log`,
        env: { ...env, DOCKER_HOST: engine },
        ready: () => isConnected(name, address),
      },
    );
    agents.push(started.use(agent));
  }
  const resources = started.move();
  return {
    address,
    dir,
    env: { ...env, ARCHFARM_COORDINATOR: address },
    get coordinator() {
      return coordinator;
    },
    agents,
    async killCoordinator() {
      coordinator.kill('SIGKILL');
      await coordinator.ended;
    },
    async startCoordinator() {
      coordinator = await startCoordinator();
    },
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

/** Nothing of the user who runs the tests: no credentials, no state, no configured coordinator. */
export async function isolatedEnv(home: string): Promise<NodeJS.ProcessEnv> {
  await mkdir(`${home}/docker`, { recursive: true });
  return {
    ...process.env,
    HOME: home,
    DOCKER_CONFIG: `${home}/docker`,
    XDG_CACHE_HOME: `${home}/cache`,
    XDG_STATE_HOME: `${home}/state`,
    ARCHFARM_COORDINATOR: undefined,
    ARCHFARM_TOKEN: undefined,
    SSH_AUTH_SOCK: undefined,
  };
}

/** Whether a coordinator answers there, be it with a refusal. */
export async function isServed(address: string): Promise<boolean> {
  return (await agentsAt(address)) !== undefined;
}

export async function isConnected(agent: string, address: string): Promise<boolean> {
  return (await agentsAt(address))?.includes(`"name":"${agent}"`) === true;
}

async function agentsAt(address: string): Promise<string | undefined> {
  try {
    return await (await fetch(`http://${address}/v1/agents`)).text();
  } catch {
    return undefined;
  }
}

/** A farm on one machine: a registry, a coordinator, and two agents with an engine each, all separate processes. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startDaemon } from './daemon.ts';
import { startEmulation } from './emulation.ts';
import { startEngine, type RunningEngine } from './engine.ts';
import { startRegistry } from './registry.ts';
import { Resources } from './resources.ts';
import { scratchDirectory } from './scratch.ts';

const run = promisify(execFile);
const dist = fileURLToPath(new URL('../../dist', import.meta.url));

export const archfarmCommand = `${dist}/archfarm.js`;

export interface RunningFarm extends AsyncDisposable {
  /** `127.0.0.1:PORT` of the coordinator. */
  readonly coordinator: string;
  /** `127.0.0.1:PORT` */
  readonly registry: string;
  /** The engine of the agent for each platform. */
  readonly engines: Readonly<Record<'linux/amd64' | 'linux/arm64', RunningEngine>>;
  /** What commands need to use this farm, with configuration and caches of their own. */
  readonly env: NodeJS.ProcessEnv;
}

/** Agent `a` offers linux/amd64, agent `b` linux/arm64. Both are connected when this returns. */
export async function startFarm(): Promise<RunningFarm> {
  await using started = new Resources();
  const scratch = started.use(await scratchDirectory('farm'));
  started.use(await startEmulation());
  // One after the other: with what a failed start leaves half done, there would be nobody to end it.
  const registry = started.use(await startRegistry());
  const amd64 = started.use(await startEngine({ name: 'a' }));
  const arm64 = started.use(await startEngine({ name: 'b' }));

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
  started.use(
    await startDaemon([process.execPath, archfarmCommand, ...serve], {
      log: `${scratch.path}/coordinator.log`,
      env,
      ready: () => listens(coordinator),
    }),
  );
  const agents = [
    { name: 'a', platform: 'linux/amd64', engine: amd64 },
    { name: 'b', platform: 'linux/arm64', engine: arm64 },
  ];
  for (const { name, platform, engine } of agents) {
    const flags = ['--name', name, '--platform', platform, '--data', `${scratch.path}/agent-${name}`];
    started.use(
      await startDaemon([process.execPath, `${dist}/archfarm-agent.js`, 'run', ...flags], {
        log: `${scratch.path}/agent-${name}.log`,
        env: { ...env, DOCKER_HOST: engine.host },
        ready: () => isConnected(name, env),
      }),
    );
  }
  const resources = started.move();
  return {
    coordinator,
    registry: registry.host,
    engines: { 'linux/amd64': amd64, 'linux/arm64': arm64 },
    env,
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

async function isConnected(agent: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const { stdout } = await run(process.execPath, [archfarmCommand, 'agents', '--json'], { env });
  return stdout.includes(`"name":"${agent}"`) || stdout.includes(`"name": "${agent}"`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function listens(address: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const socket = createConnection(Number(port), hostname, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** What builds the contexts: archfarm, and the same engines' own BuildKit with the commands of docker. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { installBuildx } from '../rig/buildx.ts';
import { archfarmCommand, type RunningFarm } from '../rig/farm.ts';
import { processorTime } from './processor-time.ts';

export interface ContextBuilder {
  readonly name: 'archfarm' | 'engines';
  /** Everything that earlier builds left with engines, agents and coordinator goes. */
  forget(): Promise<void>;
  /** The next build comes from a machine that has built nothing yet. */
  newClient(): Promise<void>;
  /** Publishes `image`, a repository of the farm's registry, for both platforms. */
  build(directory: string, image: string): Promise<FarmFacts | undefined>;
}

export interface FarmFacts {
  /** Content alone, each hop by itself. */
  readonly context: number;
  readonly uplink: number;
  readonly agents: readonly number[];
  /** Seconds, of the coordinator and of both agents together. */
  readonly processorTime: { readonly coordinator: number; readonly agents: number };
}

const platforms = [
  { platform: 'linux/amd64', suffix: 'amd64' },
  { platform: 'linux/arm64', suffix: 'arm64v8' },
] as const;

const metadata = v.object({
  context: v.object({ bytes: v.number(), sentBytes: v.number() }),
  platforms: v.array(v.object({ context: v.object({ sentBytes: v.number() }) })),
});

export class Archfarm implements ContextBuilder {
  readonly name = 'archfarm';
  readonly #farm: RunningFarm;
  readonly #scratch: string;
  #clients = 1;

  constructor(farm: RunningFarm, scratch: string) {
    this.#farm = farm;
    this.#scratch = scratch;
  }

  async forget(): Promise<void> {
    const { server, agents, directory } = this.#farm;
    const services = [
      { service: server, data: 'coordinator' },
      ...[...agents].map(([name, service]) => ({ service, data: `agent-${name}` })),
    ];
    for (const { service } of services.toReversed()) {
      service.kill('SIGTERM');
      await service.ended;
    }
    for (const { service, data } of services) {
      await rm(join(directory, data), { recursive: true, force: true });
      await service.restart();
    }
    await this.newClient();
    await pruneEngines(this.#farm);
  }

  async newClient(): Promise<void> {
    this.#clients++;
  }

  async build(directory: string, image: string): Promise<FarmFacts> {
    const { env, registry } = this.#farm;
    const before = await this.#processorTime();
    const written = join(this.#scratch, 'metadata.json');
    const what = [
      '-t',
      `${registry}/${image}`,
      '--platform',
      platforms.map(({ platform }) => platform).join(),
    ];
    const how = ['--allow-emulation', '--progress', 'quiet', '--metadata-file', written];
    await run([process.execPath, archfarmCommand, 'build', directory, ...what, ...how], {
      ...env,
      XDG_CACHE_HOME: join(this.#scratch, `client-${this.#clients}`),
    });
    const after = await this.#processorTime();
    const { context, platforms: built } = v.parse(metadata, JSON.parse(await readFile(written, 'utf8')));
    return {
      context: context.bytes,
      uplink: context.sentBytes,
      agents: built.map((task) => task.context.sentBytes),
      processorTime: {
        coordinator: after.coordinator - before.coordinator,
        agents: after.agents - before.agents,
      },
    };
  }

  async #processorTime(): Promise<FarmFacts['processorTime']> {
    const { server, agents } = this.#farm;
    return {
      coordinator: await processorTime([server.pid]),
      agents: await processorTime([...agents.values()].map(({ pid }) => pid)),
    };
  }
}

/** Each engine builds and pushes, both at once; then the list is put together. */
export class Engines implements ContextBuilder {
  readonly name = 'engines';
  readonly #farm: RunningFarm;
  readonly #scratch: string;
  #clients = 0;

  constructor(farm: RunningFarm, scratch: string) {
    this.#farm = farm;
    this.#scratch = scratch;
  }

  async forget(): Promise<void> {
    await pruneEngines(this.#farm);
  }

  /** BuildKit knows its clients by a number in the configuration directory. */
  async newClient(): Promise<void> {
    this.#clients++;
    await mkdir(this.#configuration, { recursive: true });
    await installBuildx(this.#configuration);
  }

  async build(directory: string, image: string): Promise<undefined> {
    const { registry, engines } = this.#farm;
    if (this.#clients === 0) await this.newClient();
    const list = `${registry}/${image}`;
    const children = await Promise.all(
      platforms.map(async ({ platform, suffix }) => {
        const name = `${list}-${suffix}`;
        const docker = (...args: readonly string[]): Promise<void> =>
          this.#docker(args, engines[platform].host);
        await docker('buildx', 'build', '--quiet', '--platform', platform, '--tag', name, directory);
        await docker('push', '--quiet', name);
        return name;
      }),
    );
    await this.#docker(['manifest', 'create', '--insecure', list, ...children]);
    await this.#docker(['manifest', 'push', '--purge', '--insecure', list]);
  }

  get #configuration(): string {
    return join(this.#scratch, `docker-${this.#clients}`);
  }

  #docker(args: readonly string[], engine?: string): Promise<void> {
    return run(['docker', ...args], {
      ...process.env,
      DOCKER_CONFIG: this.#configuration,
      DOCKER_HOST: engine,
    });
  }
}

async function pruneEngines({ engines }: RunningFarm): Promise<void> {
  for (const { host } of Object.values(engines)) {
    await run(['docker', 'system', 'prune', '--all', '--force'], { ...process.env, DOCKER_HOST: host });
  }
}

async function run([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  if (child.exitCode !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${child.exitCode}:\n${stderr.slice(-2000)}`);
  }
}

/**
 * A Docker engine of its own: data, sockets, bridge and control group are apart from those of any engine that
 * is already there, iptables are left alone, and nothing of it stays. containerd is a process beside dockerd,
 * because an engine that is killed comes back only when its containerd has survived it.
 */
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { request } from 'node:http';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { promisify } from 'node:util';
import { startDaemon, type Daemon } from './daemon.ts';
import { removeEngine } from './leftovers.ts';
import { Resources } from './resources.ts';
import { scratchDirectory } from './scratch.ts';

const run = promisify(execFile);

export interface RunningEngine extends AsyncDisposable {
  /** `unix:///tmp/…/docker.sock`, as DOCKER_HOST takes it. */
  readonly host: string;
  /** Of dockerd; another one after `restart`. */
  readonly pid: number;
  readonly dir: string;
  /** The last 64 KiB that dockerd wrote. */
  logs(): Promise<string>;
  /** Sends dockerd a signal; for one that ends it, waits until it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts dockerd again on its old data, ending the one that runs. */
  restart(): Promise<void>;
}

export interface EngineOptions {
  /** Part of its directory's name. */
  readonly name: string;
  /** Registries spoken to by plain http besides those of 127.0.0.0/8. */
  readonly insecureRegistries?: readonly string[];
  /** Where it keeps images and build cache, if not in its own directory. */
  readonly data?: string;
}

export async function startEngine(options: EngineOptions): Promise<RunningEngine> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory(options.name));
  started.defer(() => removeEngine(dir));
  await writeContainerdConfig(dir);
  await startContainerd(dir);
  const bridge = await addBridge(basename(dir));
  const { insecureRegistries = [], data = `${dir}/data` } = options;
  await writeEngineConfig({ dir, bridge, insecureRegistries, data });

  let dockerd = await startDockerd(dir);
  const resources = started.move();
  return {
    host: `unix://${dir}/docker.sock`,
    get pid() {
      return dockerd.pid;
    },
    dir,
    logs: () => dockerd.output(),
    async kill(signal) {
      dockerd.kill(signal);
      if (!['SIGSTOP', 'SIGCONT', 'SIGHUP', 'SIGUSR1'].includes(signal)) await dockerd.ended;
    },
    async restart() {
      await dockerd[Symbol.asyncDispose]();
      dockerd = await startDockerd(dir);
    },
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

async function writeContainerdConfig(dir: string): Promise<void> {
  const unused = ['grpc.v1.cri', 'snapshotter.v1.aufs', 'snapshotter.v1.btrfs', 'snapshotter.v1.devmapper'];
  const plugins = [...unused, 'snapshotter.v1.zfs', 'tracing.processor.v1.otlp', 'internal.v1.tracing'];
  await writeFile(
    `${dir}/containerd.toml`,
    [
      'version = 2',
      `root = "${dir}/containerd"`,
      `state = "${dir}/run/containerd"`,
      `disabled_plugins = ${JSON.stringify(plugins.map((plugin) => `io.containerd.${plugin}`))}`,
      '[grpc]',
      `address = "${dir}/containerd.sock"`,
      '[plugins."io.containerd.internal.v1.opt"]',
      // Else it makes /opt/containerd.
      `path = "${dir}/opt"`,
      '',
    ].join('\n'),
  );
}

function startContainerd(dir: string): Promise<Daemon> {
  return startDaemon(['containerd', '--config', `${dir}/containerd.toml`], {
    log: `${dir}/containerd.log`,
    grace: 2_000,
    ready: () => accepts(`${dir}/containerd.sock`),
  });
}

interface EngineConfig {
  readonly dir: string;
  readonly bridge: string;
  readonly insecureRegistries: readonly string[];
  readonly data: string;
}

async function writeEngineConfig({ dir, bridge, insecureRegistries, data }: EngineConfig): Promise<void> {
  await writeFile(
    `${dir}/daemon.json`,
    JSON.stringify({
      hosts: [`unix://${dir}/docker.sock`],
      containerd: `${dir}/containerd.sock`,
      'data-root': data,
      'exec-root': `${dir}/run/docker`,
      pidfile: `${dir}/docker.pid`,
      // Else it makes /etc/docker/key.json.
      'deprecated-key-path': `${dir}/key.json`,
      bridge,
      iptables: false,
      'ip-masq': false,
      'ip-forward': false,
      'insecure-registries': insecureRegistries,
      // With the cgroupfs driver the same path works under every version of control groups, systemd or not.
      'exec-opts': ['native.cgroupdriver=cgroupfs'],
      'cgroup-parent': `/${basename(dir)}`,
    }),
  );
}

async function startDockerd(dir: string): Promise<Daemon> {
  await rm(`${dir}/docker.pid`, { force: true });
  return startDaemon(['dockerd', `--config-file=${dir}/daemon.json`], {
    log: `${dir}/dockerd.log`,
    grace: 5_000,
    ready: () => answersPing(`${dir}/docker.sock`),
  });
}

/** The name is the lock: two processes cannot both make it, so they cannot share its subnet either. */
async function addBridge(alias: string): Promise<string> {
  const taken = new Set(await readdir('/sys/class/net'));
  const numbers = Array.from({ length: 254 }, (_, index) => index + 1);
  const offset = process.pid % numbers.length;
  for (const number of [...numbers.slice(offset), ...numbers.slice(0, offset)]) {
    const bridge = `archfarm${number}`;
    if (taken.has(bridge)) continue;
    const added = await run('ip', ['link', 'add', bridge, 'type', 'bridge']).catch((error: unknown) => {
      if (String(error).includes('File exists')) return undefined;
      throw error;
    });
    if (added === undefined) continue;
    await run('ip', ['link', 'set', bridge, 'alias', alias]);
    await run('ip', ['addr', 'add', `10.213.${number}.1/24`, 'dev', bridge]);
    await run('ip', ['link', 'set', bridge, 'up']);
    return bridge;
  }
  throw new Error('archfarm1 to archfarm254 are all in use: remove some with `ip link del NAME`');
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function answersPing(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

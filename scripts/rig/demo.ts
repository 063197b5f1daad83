/**
 * The demo: a farm of two agents on this machine builds a Python service for two architectures, and both images
 * answer. With --keep the farm goes on in the background, in a process that ends it when it is told to.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { pythonBase } from './base-image.ts';
import { archfarmCommand, startFarm, type RunningFarm } from './farm.ts';
import { removeUnusedRuntimeDirectories, sweepDeadOwners } from './leftovers.ts';

const project = fileURLToPath(new URL('../py-app', import.meta.url));
const runFile = promisify(execFile);

/** Asks the service from inside its container, where nothing but Python is sure to be. */
const ask = `
import time, urllib.request
for tries in range(300):
    try:
        print(urllib.request.urlopen('http://127.0.0.1:5000/').read().decode())
        break
    except OSError:
        time.sleep(0.1)
`;

const { values: flags } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    /** Set for the background process of --keep. */
    background: { type: 'boolean', default: false },
  },
});

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());

try {
  if (flags.keep) await inBackground();
  else await demo();
} catch (error) {
  if (!stopped.signal.aborted) throw error;
}
if (stopped.signal.aborted && !flags.background) process.exitCode = 130;

async function demo(): Promise<void> {
  await sweepDeadOwners();
  try {
    title('Starting two engines, a registry, a coordinator and two agents');
    await using farm = await startFarm();
    stopped.signal.throwIfAborted();
    await archfarm(farm, 'agents');

    title('Making a Python base image for both platforms from Debian packages');
    await pythonBase();
    await archfarm(farm, 'build', 'python-base', '--allow-emulation');

    title('Building the service');
    await archfarm(farm, 'build', 'py-app', '--allow-emulation');
    const image = `${farm.registry}/onap/py-app`;
    await archfarm(farm, 'inspect', '--verbose', image);

    title('Pulling and running the same name on both platforms');
    const answers = [
      await answer(farm, { image, platform: 'linux/amd64' }),
      await answer(farm, { image, platform: 'linux/arm64' }),
    ];
    title('Answers');
    for (const text of answers) console.log(text);

    if (flags.background) await keepRunning(farm);
  } finally {
    await removeUnusedRuntimeDirectories();
  }
}

async function archfarm(farm: RunningFarm, ...parameters: string[]): Promise<void> {
  console.log(`$ archfarm ${parameters.join(' ')}`);
  const child = spawn(process.execPath, [archfarmCommand, ...parameters], {
    cwd: project,
    env: farm.env,
    stdio: ['ignore', 'inherit', 'inherit'],
    signal: stopped.signal,
  });
  const [code]: unknown[] = await once(child, 'exit');
  console.log();
  if (code !== 0) throw new Error(`archfarm ${parameters[0]} ended with ${String(code)}`);
}

/** Runs the image as a service and asks it. */
async function answer(
  farm: RunningFarm,
  options: { readonly image: string; readonly platform: 'linux/amd64' | 'linux/arm64' },
): Promise<string> {
  const { image, platform } = options;
  const docker = async (...parameters: string[]): Promise<string> => {
    const all = ['-H', farm.engines[platform].host, ...parameters];
    return (await runFile('docker', all, { env: farm.env, signal: stopped.signal })).stdout.trim();
  };
  console.log(`$ docker pull --platform ${platform} ${image}`);
  console.log(await docker('pull', '--quiet', '--platform', platform, image));
  console.log(`$ docker run --detach --platform ${platform} ${image}`);
  const container = await docker('run', '--detach', '--platform', platform, image);
  console.log(container);
  return docker('exec', container, 'python3', '-c', ask);
}

/** Tells how to use the farm, lets the foreground go, and waits to be stopped. */
async function keepRunning(farm: RunningFarm): Promise<void> {
  title('The farm goes on');
  console.log(`  cd ${project}`);
  for (const name of ['ARCHFARM_COORDINATOR', 'REGISTRY', 'PYTHON_IMAGE']) {
    console.log(`  export ${name}=${farm.env[name]}`);
  }
  console.log(`  ${archfarmCommand} build py-app --allow-emulation`);
  for (const [platform, engine] of Object.entries(farm.engines)) {
    console.log(`  docker -H ${engine.host} images    # the engine for ${platform}`);
  }
  console.log(`Stop it:\n  kill ${process.pid}`);
  // From here on nobody reads.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  process.send?.('ready');
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort');
}

/** Runs the demo in a process that outlives this one, and shows what it writes until the farm is ready. */
async function inBackground(): Promise<void> {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, ['--import', 'tsx', script, '--background'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  stopped.signal.addEventListener('abort', () => child.kill('SIGTERM'));
  const ready = once(child, 'message').then(() => true);
  const ended = once(child, 'exit').then(() => false);
  if (await Promise.race([ready, ended])) {
    child.disconnect();
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.unref();
  } else {
    process.exitCode = child.exitCode ?? 1;
  }
}

function title(text: string): void {
  console.log(`\n== ${text}`);
}

/** A farm whose hosts have joined, as processes over a real engine: from the one line to a published image, and away again. */
import { execFile } from 'node:child_process';
import { cp, rm, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { runBuild, startBuild } from '../support/build-command.ts';
import { agentCommand, isolatedEnv, isServed } from '../support/farm-processes.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { readPublished } from '../support/published-image.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const resources = new Resources();
const { path: dir } = resources.use(await scratchDirectory('joining'));
const registry = resources.use(await startRegistry());
const engine = resources.use(await startEngine({ name: 'joined' }));
const address = `127.0.0.1:${await freePort()}`;
const home = await isolatedEnv(dir);
const coordinator = resources.use(
  await startDaemon(
    [
      process.execPath,
      archfarmCommand,
      'serve',
      '--tls',
      '--listen',
      address,
      '--data',
      `${dir}/coordinator`,
    ],
    {
      log: `${dir}/coordinator.log`,
      env: { ...home, ARCHFARM_TOKEN: 'shared' },
      ready: () => isServed(address),
    },
  ),
);
const env = {
  ...home,
  ARCHFARM_COORDINATOR: `https://${address}`,
  ARCHFARM_TOKEN: 'shared',
  ARCHFARM_CA: `${dir}/coordinator/tls/ca.crt`,
};

/** Has no token of the farm, and no authority to believe. */
async function join(name: string, ...limits: string[]): Promise<void> {
  const added = await archfarm(['agents', 'add', name, ...limits], { env });
  assert.is(added.status, 0, added.stderr);
  const [program, ...args] = added.stdout.trim().split(' ');
  assert.is(program, 'archfarm-agent');
  await run(process.execPath, [agentCommand, ...args, '--data', `${dir}/${name}`], { env: home });
  const again = await run(process.execPath, [agentCommand, ...args, '--data', `${dir}/thief`], {
    env: home,
  }).then(
    ({ stdout }) => stdout,
    (error: unknown) => String(error),
  );
  assert.match(again, 'has been used already');
}

function startAgent(data: string, ready = isReady(data)): Promise<Daemon> {
  return startDaemon([process.execPath, agentCommand, 'run', '--data', `${dir}/${data}`], {
    log: `${dir}/${data}.log`,
    env: { ...home, DOCKER_HOST: engine.host },
    ready,
  });
}

function isReady(name: string): () => Promise<boolean> {
  return async () => {
    const { stdout } = await archfarm(['agents', '--json'], { env });
    return stdout.includes(`"${name}"`) && stdout.includes('"ready"');
  };
}

async function image(name: string, ...lines: string[]): Promise<string[]> {
  const file = `${dir}/${name.replace('/', '-')}.dockerfile`;
  await writeFile(file, ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ...lines, ''].join('\n'));
  const context = await busyboxBase();
  return [context, '-f', file, '-t', `${registry.host}/${name}`, '--platform', 'linux/amd64'];
}

test('a host joins with one line, and builds over mutual TLS without a token of the farm', async () => {
  await join('a', '--platform', 'linux/amd64', '--allow-push', `${registry.host}/onap`);
  assert.is((await stat(`${dir}/a/identity/agent.pem`)).mode & 0o777, 0o600);
  resources.use(await startAgent('a'));
  const examined = await run(process.execPath, [agentCommand, 'doctor', '--data', `${dir}/a`], {
    env: { ...home, DOCKER_HOST: engine.host },
  });
  assert.match(examined.stdout, 'the coordinator lets us in');
  const built = await runBuild(await image('onap/app', 'RUN busybox true'), { env });
  assert.is(built.status, 0, built.stderr);
  assert.equal((await readPublished({ host: registry.host, repository: 'onap/app' }))?.platforms, [
    'linux/amd64',
  ]);
  const foreign = await runBuild([...(await image('other')), '--wait-agent', '1s'], { env });
  assert.is(foreign.status, 4, foreign.stderr);
  assert.match(foreign.stderr, `pushes to ${registry.host}/onap alone`);
});

test('a copy of its identity is refused while it lives, and so is an agent with the shared token', async () => {
  await cp(`${dir}/a/identity`, `${dir}/clone/identity`, { recursive: true });
  await using clone = await startAgent('clone', async () => true);
  await until(async () => /an agent named a is connected/.test(await clone.output()));
  const audit = await archfarm(['audit', '--json'], { env });
  assert.match(audit.stdout, 'two live processes claim to be the same agent');
  const flags = ['--coordinator', `wss://${address}`, '--name', 'b', '--data', `${dir}/b`];
  await using shared = await startDaemon([process.execPath, agentCommand, 'run', ...flags], {
    log: `${dir}/shared.log`,
    env: { ...env, DOCKER_HOST: engine.host },
    ready: async () => true,
  });
  await until(async () => /by certificate, and no more with its token/.test(await shared.output()));
});

test('an agent that is removed in the middle of a build ends for good, and the build ends elsewhere', async () => {
  await rm(`${dir}/b`, { recursive: true, force: true });
  await using first = startBuild(await image('onap/slow', 'RUN echo begun; busybox sleep 4'), { env });
  await first.logged('begun', ['linux/amd64']);
  await join('b');
  resources.use(await startAgent('b'));
  const started = performance.now();
  const removed = await archfarm(['agents', 'rm', 'a'], { env });
  assert.is(removed.status, 0, removed.stderr);
  const built = await first.ended();
  assert.is(built.status, 0, built.stderr);
  assert.ok(performance.now() - started < 60_000);
  const log = await until(async () => {
    const daemon = await startAgent('a', async () => true);
    return `${await daemon.ended} ${await daemon.output()}`;
  });
  assert.match(log, /exit code 78 [^]*agent a was removed from this farm/);
});

test('gives everything back', async () => {
  assert.not.match(await coordinator.output(), /"level":50/);
  await resources[Symbol.asyncDispose]();
});

test.run();

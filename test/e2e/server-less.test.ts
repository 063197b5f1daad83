/** `archfarm build` where no coordinator is configured: with this machine's engine alone, and nothing left running. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { startFakeEngine } from '../agent/engine/fake-engine.ts';
import { archfarm, startArchfarm } from '../support/archfarm-command.ts';
import { buildImage, startBuild } from '../support/build-command.ts';
import { isolatedEnv } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { processesWith } from '../support/text-search.ts';
import { until } from '../support/until.ts';

const both = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation'];

interface Setting extends AsyncDisposable {
  readonly dir: string;
  readonly registry: RunningRegistry;
  readonly env: NodeJS.ProcessEnv;
  /** Where the builds put their temporary files. */
  readonly temporary: string;
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('alone'));
  const temporary = `${dir}/tmp`;
  await mkdir(temporary);
  started.use(await startEmulation());
  const registry = started.use(await startRegistry());
  const engine = started.use(await startEngine({ name: 'alone-engine' }));
  const env = { ...(await isolatedEnv(`${dir}/home`)), DOCKER_HOST: engine.host, TMPDIR: temporary };
  const resources = started.move();
  return { dir, registry, env, temporary, [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose]() };
}

const setting = await setUp();
const { dir, registry, env, temporary } = setting;

async function steps(name: string, ...lines: string[]): Promise<string[]> {
  const dockerfile = ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ...lines, ''];
  await writeFile(`${dir}/${name}.dockerfile`, dockerfile.join('\n'));
  return [await busyboxBase(), '-f', `${dir}/${name}.dockerfile`, '-t', `${registry.host}/${name}`];
}

/** Pids of all processes with this variable: a command's own, and those that it started. */
async function processesMarked(mark: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
  );
  return pids.filter((_, index) => environments[index]?.includes(`E2E_MARK=${mark}\0`));
}

/** Pids of processes whose command line has this text. */
async function commandsWith(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids.filter((_, index) => lines[index]?.includes(text));
}

test('without --platform it publishes a list of the one platform that is native here', async () => {
  const { stdout, result } = await buildImage(await steps('native', 'RUN uname -m'), { env });
  const list = await readPublished({ host: registry.host, repository: 'native' });
  assert.is(stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, ['linux/amd64']);
  assert.equal(
    result.platforms.map(({ platform, agent, native }) => ({ platform, agent, native })),
    [{ platform: 'linux/amd64', agent: 'local', native: true }],
  );
});

test('with --allow-emulation it publishes both platforms, and a second run sends no contents again', async () => {
  const flags = [...(await steps('emulated', 'RUN uname -m')), ...both];
  const fresh = { env: { ...env, XDG_CACHE_HOME: `${dir}/fresh-cache` } };
  const first = await buildImage(flags, fresh);
  const list = await readPublished({ host: registry.host, repository: 'emulated' });
  assert.is(first.stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, ['linux/amd64', 'linux/arm64/v8']);
  assert.equal(
    first.result.platforms.map(({ native }) => native),
    [true, false],
  );
  const { sentBytes, bytes } = first.result.context;
  // All that the build copies; what it does not ask for stays where it is.
  assert.ok(sentBytes > bytes - 1000 && bytes > 1_000_000, `${sentBytes} of ${bytes} bytes at first`);

  const { result } = await buildImage([...flags, '--no-cache'], fresh);
  assert.is(result.context.sentBytes, 0);
  assert.equal(
    result.platforms.map(({ context }) => context.sentBytes),
    [0, 0],
  );
});

test('a Dockerfile comes by the standard input, with a context or with none', async () => {
  const input = `FROM ${registry.host}/native\nRUN uname -m >/machine\n`;
  for (const args of [['-'], [await busyboxBase(), '-f', '-']]) {
    const command = [
      'build',
      ...args,
      '-t',
      `${registry.host}/by-stdin`,
      '--no-cache',
      '--progress',
      'plain',
    ];
    const { status, stdout, stderr } = await archfarm(command, { env, input });
    assert.is(status, 0, stderr);
    const list = await readPublished({ host: registry.host, repository: 'by-stdin' });
    assert.is(stdout, `${list?.digest}\n`);
  }
});

test('a run that ends leaves neither a process nor a temporary file', async () => {
  const mark = 'ends';
  await using build = startBuild(await steps('ends', 'RUN echo built-$(uname -m)'), {
    env: { ...env, E2E_MARK: mark },
  });
  await build.logged('built-x86_64', ['linux/amd64']);
  const during = await processesMarked(mark);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  assert.ok(during.length >= 2, 'the command and its agent were not both seen');
  assert.equal(await processesMarked(mark), []);
  assert.equal(await readdir(temporary), []);
});

test('when the command is killed, its agent ends and so does the step that it ran', async () => {
  const mark = 'killed';
  await using build = startBuild(await steps('killed', 'RUN echo begun; sleep 4711.5'), {
    env: { ...env, E2E_MARK: mark, TMPDIR: dir },
  });
  await build.logged('begun', ['linux/amd64']);
  const marked = await processesMarked(mark);
  assert.ok(marked.length >= 2);
  // The agent was told over its channel whom to dial, and with which token.
  assert.equal(await processesWith('ARCHFARM_TOKEN', marked), []);
  assert.is((await processesWith('archfarm-agent', marked)).length, 1);
  assert.ok((await commandsWith('4711.5')).length > 0);
  build.kill('SIGKILL');
  const what = 'agent and step end';
  await until(async () => (await processesMarked(mark)).length === 0, { what });
  await until(async () => (await commandsWith('4711.5')).length === 0, { what });
});

test('a second interrupt ends it at once, and leaves no temporary file either', async () => {
  const mark = 'interrupted';
  const flags = await steps('interrupted', 'RUN echo begun; sleep 4712.5');
  await using build = startArchfarm(['build', '--progress', 'plain', ...flags], {
    env: { ...env, E2E_MARK: mark },
  });
  await until(() => build.stderr.includes(' begun'), { what: 'the step has begun', timeout: 60_000 });
  assert.is.not((await readdir(temporary)).length, 0);
  const [found = ''] = await processesWith('archfarm-agent', await processesMarked(mark));
  const agent = Number(/\d+/.exec(found)?.[0]);
  // Stopped, so that the build does not end by the first one.
  process.kill(agent, 'SIGSTOP');
  try {
    build.kill('SIGINT');
    await until(() => build.stderr.includes('interrupt again'), { what: 'the first is taken' });
    build.kill('SIGINT');
    // It is waited for so: its agent, which is stopped, holds its standard error.
    await until(async () => !(await processesMarked(mark)).includes(build.pid), { what: 'the command ends' });
    assert.equal(await readdir(temporary), []);
  } finally {
    process.kill(agent, 'SIGCONT');
  }
  assert.is((await build.ended).status, 130);
  await until(async () => (await processesMarked(mark)).length === 0, { what: 'the agent ends' });
  assert.equal(await readdir(temporary), []);
});

test('without a cache directory it builds, and says so', async () => {
  const XDG_CACHE_HOME = `${dir}/no-directory`;
  await writeFile(XDG_CACHE_HOME, '');
  const args = ['build', ...(await steps('cacheless', 'RUN true'))];
  const built = await archfarm(args, { env: { ...env, XDG_CACHE_HOME } });
  assert.is(built.status, 0, built.stderr);
  assert.match(
    built.stderr,
    `WARNING: nothing is kept for later builds: cannot write ${XDG_CACHE_HOME}/archfarm: `,
  );
  const quiet = await archfarm([...args, '--quiet'], { env: { ...env, XDG_CACHE_HOME } });
  assert.is(quiet.stderr, '');
  assert.equal(await readdir(temporary), []);
});

test('without a directory for temporary files it says which it wants', async () => {
  const TMPDIR = `${dir}/gone`;
  const { status, stderr } = await archfarm(['build', ...(await steps('placeless', 'RUN true'))], {
    env: { ...env, TMPDIR },
  });
  assert.is(status, 2, stderr);
  assert.match(
    stderr,
    new RegExp(`^archfarm: no temporary files can be made in ${TMPDIR}: ENOENT.*\n {2}set TMPDIR to `, 'm'),
  );
});

test('two builds at once do not disturb each other', async () => {
  const flags = [await steps('left', 'RUN echo left'), await steps('right', 'RUN echo right')];
  const builds = await Promise.all(flags.map((each) => buildImage(each, { env })));
  for (const [index, repository] of ['left', 'right'].entries()) {
    const list = await readPublished({ host: registry.host, repository });
    assert.is(builds[index]?.stdout, `${list?.digest}\n`);
  }
  assert.is.not(builds[0]?.stdout, builds[1]?.stdout);
  assert.equal(await readdir(temporary), []);
});

test('what needs a coordinator that stays is exit 2 and says so', async () => {
  const flags = await steps('detached', 'RUN true');
  const detached = await archfarm(['build', ...flags, '--detach'], { env });
  assert.is(detached.status, 2);
  assert.match(detached.stderr, /--detach needs a coordinator/);
  for (const command of [['agents'], ['builds'], ['show', 'x'], ['logs', 'x'], ['cancel', 'x']]) {
    const { status, stderr } = await archfarm(command, { env });
    assert.is(status, 2, command.join(' '));
    assert.match(stderr, /needs a coordinator\n.*ARCHFARM_COORDINATOR/);
  }
});

test('an engine that is down is exit 3, says so, and does not take long', async () => {
  const DOCKER_HOST = `unix://${dir}/nobody.sock`;
  const start = performance.now();
  const { status, stderr } = await archfarm(['build', ...(await steps('down', 'RUN true'))], {
    env: { ...env, DOCKER_HOST },
  });
  assert.is(status, 3, stderr);
  assert.match(stderr, DOCKER_HOST);
  assert.match(stderr, /is it running/);
  assert.ok(performance.now() - start < 10_000);
  assert.equal(await readdir(temporary), []);
});

test('an engine without BuildKit is exit 2', async () => {
  await using old = await startFakeEngine({
    'GET /version': JSON.stringify({ Version: '18.06.3-ce', ApiVersion: '1.38' }),
    'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 'x86_64', DriverStatus: [] }),
  });
  const { status, stderr } = await archfarm(['build', ...(await steps('old', 'RUN true'))], {
    env: { ...env, DOCKER_HOST: old.host },
  });
  assert.is(status, 2, stderr);
  assert.match(stderr, /has no BuildKit: it is 18\.06\.3-ce \(API 1\.38\)/);
  assert.equal(await readdir(temporary), []);
});

test('the engine goes as it came', async () => {
  await setting[Symbol.asyncDispose]();
});

test.run();

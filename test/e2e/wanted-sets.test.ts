/** What of a context moves, and for how long a build needs its client: clients and agents that are killed. */
import { randomBytes } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { buildResultSchema } from '../../coordinator/cli/api-answers.ts';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { startEngine, type RunningEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, startBuild } from '../support/build-command.ts';
import { agentCommand, startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  readonly registry: RunningRegistry;
  /** Directory of contexts. */
  readonly dir: string;
  /** Two that know nothing of each other. */
  readonly engines: readonly [RunningEngine, RunningEngine];
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('wanted'));
  const registry = started.use(await startRegistry());
  const engines = [
    started.use(await startEngine({ name: 'wanted-1' })),
    started.use(await startEngine({ name: 'wanted-2' })),
  ] as const;
  const platforms = ['linux/amd64'];
  const farm = started.use(
    await startFarmProcesses({
      agents: engines.map(({ host }, index) => ({ name: `agent-${index + 1}`, platforms, engine: host })),
      // A client that is gone is given up after 4.5 s, as an agent is.
      coordinatorEnv: { ARCHFARM_TIMERS: '0.1' },
    }),
  );
  const resources = started.move();
  return { farm, registry, dir, engines, [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose]() };
}

const setting = await setUp();
const { farm, registry, dir, engines } = setting;
const appBytes = 3000;
const unused = 20 * 1024 * 1024;

interface Context {
  readonly path: string;
  readonly dockerfile: string;
}

/** A shell, an application of three files, and a lot that no Dockerfile asks for. Contents are new for each. */
async function context(name: string, ...steps: readonly string[]): Promise<Context> {
  const dockerfile = ['FROM scratch', 'COPY base/ /', ...steps, ''].join('\n');
  const path = await writeFiles(`${dir}/${name}`, {
    Dockerfile: dockerfile,
    'app/main.py': randomBytes(appBytes / 6).toString('hex'),
    'app/model.bin': randomBytes(appBytes / 6).toString('hex'),
    'app/util.py': randomBytes(appBytes / 6).toString('hex'),
    'media/film': randomBytes(unused / 2).toString('hex'),
  });
  await cp(`${await busyboxBase()}/amd64`, `${path}/base`, { recursive: true, verbatimSymlinks: true });
  return { path, dockerfile };
}

async function show(build: string): Promise<BuildResult> {
  const shown = await archfarm(['show', '--json', build], farm);
  assert.is(shown.status, 0, shown.stderr);
  return v.parse(buildResultSchema, JSON.parse(shown.stdout));
}

/** Waits until the build needs its client no more. */
async function untilComplete(build: string): Promise<void> {
  const isComplete = async (): Promise<boolean> => (await show(build)).context.complete === true;
  await until(isComplete, { timeout: 30_000, what: 'the build needs its client no more' });
}

/** The digest that a build which somebody left comes to publish under `repository`. */
async function assertPublished(build: string, repository: string): Promise<void> {
  const attached = await archfarm(['attach', build], farm);
  assert.is(attached.status, 0, attached.stderr);
  const list = await readPublished({ host: registry.host, repository });
  assert.is(attached.stdout, `${list?.digest}\n`);
}

/** Takes so many seconds, in which others have time to die. */
function pause(seconds: number): string {
  return `RUN echo begun; sleep ${seconds}`;
}

test('of a large tree only what the Dockerfile copies moves, on both hops', async () => {
  const dockerfile = ['FROM scratch', 'COPY app /app', ''].join('\n');
  const { path } = await context('small');
  await writeFiles(path, { Dockerfile: dockerfile });
  const { result } = await buildImage(
    ['-t', `${registry.host}/small`, '--platform', 'linux/amd64', path],
    farm,
  );
  const wanted = appBytes + dockerfile.length;
  assert.ok(result.context.bytes > unused, JSON.stringify(result.context));
  // Directories are in what a client sent, and not in what an agent fetched.
  const { sentBytes } = result.context;
  assert.ok(
    sentBytes >= wanted && sentBytes < wanted + 8000,
    `the client sent ${sentBytes} bytes for ${wanted}`,
  );
  assert.is(platformOf(result, 'linux/amd64').context.sentBytes, wanted);
});

test('a detached build needs its client only until the coordinator has what it copies', async () => {
  const { path } = await context('detached', 'COPY app /app', pause(2));
  const flags = ['-t', `${registry.host}/detached`, '--platform', 'linux/amd64', '--detach'];
  const detached = await archfarm(['build', ...flags, path], farm);
  assert.is(detached.status, 0, detached.stderr);
  const build = detached.stdout.trim();
  const { status, client, context: told } = await show(build);
  assert.ok(['queued', 'running'].includes(status), status);
  assert.is(client, `${userInfo().username}@${hostname()}`);
  assert.equal([told.complete, told.missing], [true, { files: 0, bytes: 0, paths: [] }]);
  await assertPublished(build, 'detached');
});

test('what nobody has once its client is gone fails the platform that needs it, and says whose it is', async () => {
  const { path } = await context('orphaned');
  const dockerfile = ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ''].join('\n');
  await writeFiles(path, {
    Dockerfile: dockerfile,
    'amd64/program': 'for one',
    'arm64/model.bin': randomBytes(500).toString('hex'),
  });
  const where = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation', '--wait-agent', '5m'];
  const flags = ['-t', `${registry.host}/orphaned`, ...where];
  await using client = startBuild([...flags, path], farm);
  const build = await client.id();
  const isPushed = async (): Promise<boolean> =>
    (await show(build)).platforms.some(({ status }) => status === 'pushed');
  await until(isPushed, { timeout: 30_000, what: 'the first platform is pushed' });
  const { complete, missing } = (await show(build)).context;
  assert.is(complete, false);
  assert.ok(missing?.paths.includes('arm64/model.bin'), JSON.stringify(missing));
  const described = await archfarm(['show', build], farm);
  assert.match(described.stdout, /^context +\d+ files \(.*\) still with the client: .*model\.bin/m);
  client.kill('SIGKILL');

  await using _late = await startAgent('agent-3', { platform: 'linux/arm64', engine: engines[0] });
  const attached = await archfarm(['attach', build], farm);
  assert.is(attached.status, 3, attached.stderr);
  const result = await show(build);
  const failed = platformOf(result, 'linux/arm64/v8');
  assert.is(failed.error?.code, 'client-gone');
  const person = `${userInfo().username}@${hostname()}`;
  assert.ok(
    failed.error?.message.startsWith(`arm64/model.bin for linux/arm64/v8: client ${person} is gone`),
    failed.error?.message,
  );
  assert.is(failed.attempts.length, 1, 'no other agent could do better');
  assert.is(platformOf(result, 'linux/amd64').status, 'pushed');
});

test('a build with all it needs outlives its client, its coordinator and the agent that began it', async () => {
  const { path } = await context('survivor', 'COPY app /app', pause(8));
  const flags = ['-t', `${registry.host}/survivor`, '--platform', 'linux/amd64'];
  await using client = startBuild([...flags, path], farm);
  await client.logged('begun', ['linux/amd64']);
  const build = await client.id();
  await untilComplete(build);
  client.kill('SIGKILL');
  await farm.killCoordinator();
  await farm.startCoordinator();
  // Of what the task wants, only its agent can tell the new process.
  await untilComplete(build);
  const [first] = (await show(build)).platforms;
  assert.is(first?.status, 'running');
  const holder = farm.agents[Number(first?.agent?.split('-')[1]) - 1];
  holder?.kill('SIGKILL');
  await assertPublished(build, 'survivor');
  const { attempts } = platformOf(await show(build), 'linux/amd64');
  assert.equal(
    attempts.map(({ outcome }) => outcome),
    ['lost', 'pushed'],
  );
  assert.is.not(attempts[1]?.agent, first?.agent);
});

interface LateAgent {
  readonly platform: string;
  readonly engine: RunningEngine;
}

/** Connected when this resolves. */
function startAgent(name: string, { platform, engine }: LateAgent): Promise<Daemon> {
  const flags = ['--coordinator', farm.address, '--name', name, '--platform', platform];
  return startDaemon([process.execPath, agentCommand, 'run', ...flags, '--data', `${farm.dir}/${name}`], {
    log: `${farm.dir}/${name}.log`,
    env: { ...farm.env, DOCKER_HOST: engine.host },
    ready: async () => (await archfarm(['agents', '--json'], farm)).stdout.includes(`"${name}"`),
  });
}

test('gives everything back', async () => {
  await setting[Symbol.asyncDispose]();
});

test.run();

/** Builds on registries that want to know who comes, and on registries that do not do as they should. */
import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm, type EndedCommand } from '../support/archfarm-command.ts';
import { buildImage, type EndedBuild } from '../support/build-command.ts';
import { dockerConfig } from '../support/docker-config.ts';
import { startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { RunningServer } from '../support/logged-server.ts';
import { readPublished } from '../support/published-image.ts';
import { stepOutput } from '../support/step-output.ts';
import { filesWith, processesWith } from '../support/text-search.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const password = 'quiet-otter-4711';
/** bob and that password, as htpasswd -B writes it. */
const htpasswd = 'bob:$2y$05$abcdefghijklmnopqrstuuQ9.jkkyEimkFzZVb/IZAqfgZ5r5wGPa\n';
const basicAuth = Buffer.from(`bob:${password}`).toString('base64');

const both = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation'];
const bothPlatforms = ['linux/amd64', 'linux/arm64/v8'];

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  readonly dir: string;
  /** Wants Basic authentication. */
  readonly basic: RunningRegistry;
  readonly tokens: TokenServer;
  /** Wants the tokens of that server. */
  readonly bearer: RunningRegistry;
  /** Lets everybody in. */
  readonly open: RunningRegistry;
  /** The open one, behind a door at which every mount becomes a plain upload. */
  readonly mountless: RunningServer;
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('auth'));
  started.use(await startEmulation());
  await writeFile(`${dir}/htpasswd`, htpasswd);
  const auth = { htpasswd: { realm: 'test', path: `${dir}/htpasswd` } };
  const basic = started.use(await startRegistry({ auth }));
  const tokens = started.use(await startTokenServer({ username: 'bob', password }));
  const bearer = started.use(await startRegistry({ auth: tokens.registryAuth }));
  const open = started.use(await startRegistry());
  const mountless = started.use(
    await startFaultProxy(open.host, (request) => {
      if (request.method === 'POST') request.url = request.url?.replace(/\?.*/, '');
      return false;
    }),
  );
  const config = started.use(
    await dockerConfig({
      auths: {
        [basic.host]: { auth: basicAuth },
        [bearer.host]: { auth: basicAuth },
        [otherName(basic)]: { auth: Buffer.from('bob:wrong').toString('base64') },
      },
    }),
  );
  const engine = started.use(await startEngine({ name: 'auth-engine' }));
  const farm = started.use(
    await startFarmProcesses({
      agents: [{ name: 'a', platforms: bothPlatforms, engine: engine.host }],
      // So that three attempts at a registry that is not there do not take a minute.
      coordinatorEnv: { DOCKER_CONFIG: config.path, ARCHFARM_TIMERS: '0.2' },
    }),
  );
  const resources = started.move();
  return {
    farm,
    dir,
    basic,
    tokens,
    bearer,
    open,
    mountless,
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

const setting = await setUp();
const { farm, basic, tokens, bearer, open, mountless } = setting;

/** The same registry for whoever has other credentials. */
function otherName(registry: RunningRegistry): string {
  return registry.host.replace('127.0.0.1', 'localhost');
}

async function published(image: string, ...flags: string[]): Promise<EndedBuild> {
  return buildImage([await busyboxBase(), '-t', image, ...both, ...flags], farm);
}

/** What is said of a build that is not even begun. */
async function refused(image: string): Promise<string> {
  const before = await archfarm(['builds', '--quiet'], farm);
  const command = ['build', await busyboxBase(), '-t', image, '--platform', 'linux/amd64'];
  const { status, stdout, stderr } = await archfarm(command, farm);
  assert.is(status, 3, stderr);
  assert.is(stdout, '');
  assert.equal(await archfarm(['builds', '--quiet'], farm), before);
  return stderr;
}

async function dockerfile(name: string, ...lines: string[]): Promise<string[]> {
  await writeFile(`${setting.dir}/${name}`, `${lines.join('\n')}\n`);
  return ['-f', `${setting.dir}/${name}`];
}

test('a build publishes on a registry with Basic authentication', async () => {
  assert.is((await fetch(`http://${basic.host}/v2/`)).status, 401);
  const { stdout } = await published(`${basic.host}/team/base`);
  const authorization = `Basic ${basicAuth}`;
  const list = await readPublished({ host: basic.host, repository: 'team/base', authorization });
  assert.is(stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, bothPlatforms);
});

test('a private base image is pulled with what the coordinator knows', async () => {
  const base = await dockerfile('derived', `FROM ${basic.host}/team/base`, 'RUN echo from-$(uname -m)');
  const before = (await basic.accessLog()).length;
  const { frames } = await published(`${basic.host}/team/derived`, ...base);
  assert.match(stepOutput(frames, 'linux/amd64'), 'from-x86_64');
  assert.match(stepOutput(frames, 'linux/arm64/v8'), 'from-aarch64');
  const pulls = (await basic.accessLog())
    .slice(before)
    .filter((line) => line.includes('/v2/team/base/manifests/latest') && line.includes('" 200 '));
  assert.ok(pulls.length > 0, 'the base was not asked for by its name');
});

test('a build publishes on a registry with token authentication', async () => {
  const { stdout } = await published(`${bearer.host}/team/app`);
  const authorization = `Bearer ${tokens.issue(['repository:team/app:pull'])}`;
  const list = await readPublished({ host: bearer.host, repository: 'team/app', authorization });
  assert.is(stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, bothPlatforms);
  assert.ok(
    tokens.asked.some((scopes) => scopes.join() === 'repository:team/app-arm64v8:pull,push'),
    `no token for that push alone: ${JSON.stringify(tokens.asked)}`,
  );
});

test('the agent has no credential in its environment, its arguments or its files', async () => {
  const agents = farm.agents.map(({ pid }) => pid);
  for (const secret of [password, basicAuth]) {
    assert.equal(await processesWith(secret, agents), []);
    // The coordinator's data and all logs as well: none of them has a use for it.
    assert.equal(await filesWith(secret, [farm.dir]), []);
  }
  assert.is((await processesWith('DOCKER_HOST=', agents)).length, 1);
  assert.ok((await filesWith('team/app-arm64v8', [farm.dir])).length > 0);
});

test('a wrong password is exit 3, and the message names the repository', async () => {
  const image = `${otherName(basic)}/team/denied`;
  const said = await refused(image);
  assert.match(said, `push to ${image}-amd64 was denied`);
  assert.match(said, `docker login ${otherName(basic)}`);
  assert.not.match(said, 'bob:wrong');
  assert.not.match(said, Buffer.from('bob:wrong').toString('base64'));
});

test('a registry that is not there is exit 3, and the message names the host', async () => {
  assert.match(await refused('127.0.0.1:1/team/app'), 'registry 127.0.0.1:1 cannot be reached');
});

test('a plan says what was found at each repository and under each tag, and fails as the build would', async () => {
  const plan = async (...tags: string[]): Promise<EndedCommand> => {
    const flags = [...tags.flatMap((tag) => ['-t', tag]), '--platform', bothPlatforms.join(), '--dry-run'];
    return archfarm(['build', await busyboxBase(), ...flags], farm);
  };
  const good = await plan(`${basic.host}/team/base`, `${bearer.host}/team/new:1`);
  assert.is(good.status, 0, good.stderr);
  assert.match(good.stdout, /linux\/amd64 +a +/);
  for (const repository of [`${basic.host}/team/base-arm64v8`, `${bearer.host}/team/new`]) {
    assert.match(good.stdout, new RegExp(`^${repository} +yes$`, 'm'));
  }
  assert.match(
    good.stdout,
    `published as ${basic.host}/team/base:latest, which is ${bothPlatforms.join(', ')} today`,
  );
  assert.match(good.stdout, `published as ${bearer.host}/team/new:1, a new tag`);

  const bad = await plan(`${otherName(basic)}/team/base`);
  assert.is(bad.status, 3, bad.stderr);
  assert.match(bad.stdout, `${otherName(basic)}/team/base `);
  assert.match(bad.stdout, /no: push to .* was denied/);
  assert.match(bad.stderr, `push to ${otherName(basic)}/team/base-amd64 was denied`);
});

test('a tag does not lose a platform without --force, and nothing is built before that is said', async () => {
  const image = `${basic.host}/team/base`;
  const command = ['build', await busyboxBase(), '-t', image, '--platform', 'linux/amd64'];
  const { status, stderr } = await archfarm(command, farm);
  assert.is(status, 2, stderr);
  assert.match(stderr, `${image}:latest has linux/arm64/v8 today`);
  const forced = await archfarm([...command, '--force', '--dry-run'], farm);
  assert.is(forced.status, 0, forced.stderr);
});

test('a registry that answers every mount with an upload gets copies', async () => {
  const { stdout, frames } = await published(`${mountless.host}/team/app`);
  const list = await readPublished({ host: open.host, repository: 'team/app' });
  assert.is(stdout, `${list?.digest}\n`);
  assert.ok(list);
  assert.equal(list.platforms, bothPlatforms);

  const mounts = mountless.log.filter((line) => line.startsWith('POST /v2/team/app/') && /mount=/.test(line));
  // Once refused, it is not asked again for every blob.
  assert.ok(mounts.length > 0 && mounts.length <= list.blobs.length, `${mounts.length} mounts were tried`);
  const posts = (await open.accessLog()).filter((line) => line.includes('"POST /v2/team/app/'));
  assert.ok(posts.length >= mounts.length);
  assert.equal(
    posts.filter((line) => !line.includes('" 202 ')),
    [],
  );
  const actions = frames.flatMap((frame) => (frame.type === 'publish' ? [frame.action] : []));
  assert.ok(actions.includes('copy'));
  assert.not.ok(actions.includes('mount'));
});

test('coordinator and agent end when they are told to', async () => {
  await setting[Symbol.asyncDispose]();
  for (const { ended } of [farm.coordinator, ...farm.agents]) assert.is(await ended, 'exit code 0');
});

test.run();

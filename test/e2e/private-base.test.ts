/** Base images that not everybody may pull, on registries that take tokens. */
import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { buildImage, runBuild } from '../support/build-command.ts';
import { dockerConfig } from '../support/docker-config.ts';
import { isolatedEnv, startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { pullDocument } from '../support/sample-image.ts';
import { stepOutput } from '../support/step-output.ts';
import { filesWith, processesWith } from '../support/text-search.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const password = 'shy-heron-2088';
const basicAuth = Buffer.from(`bob:${password}`).toString('base64');

const bothPlatforms = ['linux/amd64', 'linux/arm64/v8'];
const both = ['--platform', bothPlatforms.join(), '--allow-emulation'];

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  readonly dir: string;
  readonly tokens: TokenServer;
  readonly registry: RunningRegistry;
  /** Of the coordinator's user. */
  readonly config: string;
  /** Data of the agents' engines. */
  readonly engines: readonly string[];
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('private'));
  started.use(await startEmulation());
  const tokens = started.use(
    await startTokenServer({
      username: 'bob',
      password,
      deny: (scope) => scope.startsWith('repository:team/vault:'),
      anonymous: (scope) => scope.startsWith('repository:public/') && scope.endsWith(':pull'),
    }),
  );
  const registry = started.use(await startRegistry({ auth: tokens.registryAuth }));
  const { path: config } = started.use(
    await dockerConfig({ auths: { [registry.host]: { auth: basicAuth } } }),
  );
  await publishBases(registry, { dir, config });

  const a = started.use(await startEngine({ name: 'private-a' }));
  const b = started.use(await startEngine({ name: 'private-b' }));
  const farm = started.use(
    await startFarmProcesses({
      agents: [
        { name: 'a', platforms: ['linux/amd64'], engine: a.host },
        { name: 'b', platforms: ['linux/arm64'], engine: b.host },
      ],
      coordinatorEnv: { DOCKER_CONFIG: config },
    }),
  );
  const resources = started.move();
  return {
    farm,
    dir,
    tokens,
    registry,
    config,
    engines: [a.dir, b.dir],
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

/** From an engine of their own: those that build upon them later have nothing of them. */
async function publishBases(
  registry: RunningRegistry,
  { dir, config }: { dir: string; config: string },
): Promise<void> {
  await using maker = await startEngine({ name: 'private-maker' });
  const env = { ...(await isolatedEnv(`${dir}/maker`)), DOCKER_HOST: maker.host, DOCKER_CONFIG: config };
  const tags = ['team/base', 'public/base'].flatMap((name) => ['-t', `${registry.host}/${name}`]);
  await buildImage([await busyboxBase(), ...tags, ...both], { env });
}

const setting = await setUp();
const { farm, tokens, registry } = setting;

async function dockerfile(name: string, ...lines: string[]): Promise<string[]> {
  const path = `${setting.dir}/${name}.dockerfile`;
  await writeFile(path, `${lines.join('\n')}\n`);
  return [await busyboxBase(), '-f', path];
}

const layersSchema = v.object({ layers: v.array(v.object({ digest: v.string() })) });

/** The digests of the layers that the base has on this platform. */
async function baseLayers(repository: string, index: number): Promise<string[]> {
  const authorization = `Bearer ${tokens.issue([`repository:${repository}:pull`])}`;
  const list = await readPublished({ host: registry.host, repository, authorization });
  const manifest: unknown = JSON.parse(String(list?.documents[index + 1]));
  return v.parse(layersSchema, manifest).layers.map(({ digest }) => digest);
}

test('nobody pulls the base without a token for it', async () => {
  const target = { host: registry.host, repository: 'team/base' };
  assert.is((await fetch(`http://${registry.host}/v2/team/base/manifests/latest`)).status, 401);
  const wrong = `Bearer ${tokens.issue(['repository:team/other:pull'])}`;
  const answer = await fetch(`http://${registry.host}/v2/team/base/manifests/latest`, {
    headers: { authorization: wrong },
  });
  assert.is(answer.status, 401);
  const right = `Bearer ${tokens.issue(['repository:team/base:pull'])}`;
  assert.ok(await pullDocument({ ...target, authorization: right }, 'latest'));
});

test('a private base is pulled on every host with a token for that repository alone', async () => {
  const before = tokens.asked.length;
  const flags = await dockerfile('app', `FROM ${registry.host}/team/base`, 'RUN echo from-$(uname -m)');
  const { frames } = await buildImage([...flags, '-t', `${registry.host}/team/app`, ...both], farm);
  assert.match(stepOutput(frames, 'linux/amd64'), 'from-x86_64');
  assert.match(stepOutput(frames, 'linux/arm64/v8'), 'from-aarch64');
  const asked = tokens.asked.slice(before).map((scopes) => scopes.join(' '));
  assert.is(asked.filter((scopes) => scopes === 'repository:team/base:pull').length, 2, asked.join('\n'));
  assert.equal(tokens.askedAnonymously, []);
});

test('its layers are mounted into what is pushed, not uploaded', async () => {
  const log = await registry.accessLog();
  for (const [index, suffix] of ['amd64', 'arm64v8'].entries()) {
    const layers = await baseLayers('team/base', index);
    assert.ok(layers.length > 0);
    for (const layer of layers) {
      const mount = log.filter(
        (line) =>
          line.includes(`"POST /v2/team/app-${suffix}/blobs/uploads/`) &&
          decodeURIComponent(line).includes(`mount=${layer}`) &&
          decodeURIComponent(line).includes('from=team/base'),
      );
      assert.ok(
        mount.some((line) => line.includes('" 201 ')),
        `${suffix}: ${mount.join('\n')}`,
      );
    }
  }
});

test('no host of an agent, its engine included, ever has the password', async () => {
  const agents = farm.agents.map(({ pid }) => pid);
  for (const secret of [password, basicAuth]) {
    assert.equal(await processesWith(secret, agents), []);
    assert.equal(await filesWith(secret, [farm.dir, ...setting.engines]), []);
  }
  assert.is((await filesWith(basicAuth, [setting.config])).length, 1);
  assert.ok((await filesWith('team/base', [farm.dir])).length > 0);
});

test('a second build asks for a token of its own, and mounts as well', async () => {
  const before = tokens.asked.length;
  const flags = await dockerfile('second', `FROM ${registry.host}/team/base`, 'RUN echo second');
  await buildImage([...flags, '-t', `${registry.host}/team/second`, ...both], farm);
  const asked = tokens.asked.slice(before).map((scopes) => scopes.join(' '));
  for (const suffix of ['amd64', 'arm64v8']) {
    const push = `repository:team/second-${suffix}:pull,push repository:team/base:pull`;
    assert.ok(asked.includes(push), asked.join('\n'));
  }
});

test('a base that the coordinator may not pull either is an error that names it', async () => {
  const base = `${registry.host}/team/vault`;
  const flags = await dockerfile('vault', `FROM ${base}`, 'RUN true');
  const build = await runBuild([...flags, '-t', `${registry.host}/team/thief`, ...both], farm);
  assert.is(build.status, 3, build.result.error?.message);
  assert.is(build.stdout, '');
  assert.is(build.result.error?.code, 'registry-denied', build.result.error?.message);
  assert.match(build.result.error?.message ?? '', base);
  assert.match(build.result.error?.message ?? '', /denied|authoriz/);
});

test('a host that the coordinator does not know is left to the engine, which gets its own token', async () => {
  const stranger = registry.host.replace('127.0.0.1', 'localhost');
  const before = tokens.askedAnonymously.length;
  const flags = await dockerfile('public', `FROM ${stranger}/public/base`, 'RUN echo anybody');
  await buildImage([...flags, '-t', `${registry.host}/team/open`, ...both], farm);
  assert.ok(
    tokens.askedAnonymously.slice(before).some((scopes) => scopes.join() === 'repository:public/base:pull'),
    JSON.stringify(tokens.askedAnonymously),
  );

  const secret = await dockerfile('stranger', `FROM ${stranger}/team/base`, 'RUN true');
  const build = await runBuild([...secret, '-t', `${registry.host}/team/no`, ...both], farm);
  assert.is(build.status, 3, build.result.error?.message);
  assert.is(build.result.error?.code, 'registry-denied', build.result.error?.message);
  assert.match(build.result.error?.message ?? '', `${stranger}/team/base`);
});

test('coordinator and agents end when they are told to', async () => {
  await setting[Symbol.asyncDispose]();
  for (const { ended } of [farm.coordinator, ...farm.agents]) assert.is(await ended, 'exit code 0');
});

test.run();

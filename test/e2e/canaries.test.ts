/** Secrets that are marked, so that every place where one is left behind can be found. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEngine, type RunningEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, startBuild } from '../support/build-command.ts';
import { dockerConfig } from '../support/docker-config.ts';
import { startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { RunningServer } from '../support/logged-server.ts';
import { filesWith } from '../support/text-search.ts';

const password = 'quiet-otter-4711';
/** bob and that password, as htpasswd -B writes it. */
const htpasswd = 'bob:$2y$05$abcdefghijklmnopqrstuuQ9.jkkyEimkFzZVb/IZAqfgZ5r5wGPa\n';
const basicAuth = Buffer.from(`bob:${password}`).toString('base64');
const buildSecret = `canary-${randomBytes(12).toString('hex')}`;
const canaries = [password, basicAuth, buildSecret, Buffer.from(buildSecret).toString('base64').slice(0, -4)];

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  /** Of the client: here the build secret is. */
  readonly dir: string;
  readonly registry: RunningRegistry;
  /** The registry, which can be told to keep the last request of a push waiting. */
  readonly door: RunningServer;
  readonly engine: RunningEngine;
}

const pushed = new Deferred<void>();
const release = new Deferred<void>();

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('canaries'));
  await writeFile(`${dir}/htpasswd`, htpasswd);
  await writeFile(`${dir}/token`, buildSecret);
  const auth = { htpasswd: { realm: 'test', path: `${dir}/htpasswd` } };
  const registry = started.use(await startRegistry({ auth }));
  const door = started.use(
    await startFaultProxy(registry.host, async ({ method, url }) => {
      if (method !== 'PUT' || url?.startsWith('/v2/team/app-amd64/manifests/') !== true) return false;
      pushed.resolve();
      await release.promise;
      return false;
    }),
  );
  const config = started.use(await dockerConfig({ auths: { [door.host]: { auth: basicAuth } } }));
  const engine = started.use(await startEngine({ name: 'canary-engine' }));
  const farm = started.use(
    await startFarmProcesses({
      agents: [{ name: 'a', platforms: ['linux/amd64'], engine: engine.host }],
      coordinatorEnv: { DOCKER_CONFIG: config.path },
    }),
  );
  const resources = started.move();
  const { [Symbol.asyncDispose]: dispose } = resources;
  return { farm, dir, registry, door, engine, [Symbol.asyncDispose]: () => dispose.call(resources) };
}

const setting = await setUp();
const { farm, dir, registry, door, engine } = setting;

/** `environ` and `cmdline` of whatever runs on this machine. */
async function anyProcessWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const files = pids.flatMap((pid) => [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`]);
  // Some end meanwhile.
  const contents = await Promise.all(files.map((file) => readFile(file).catch(() => Buffer.alloc(0))));
  return files.filter((_, index) => contents[index]?.includes(text));
}

/** Data and logs of coordinator and agents, the registry's log of addresses, the engine, and the client's home. */
function anyFileWith(text: string): Promise<string[]> {
  return filesWith(text, [farm.dir, registry.dir, engine.dir, farm.env['HOME'] ?? '']);
}

test('while a build with a private base, a secret and a password for its push runs, they are in memory only', async () => {
  const platform = ['--platform', 'linux/amd64'];
  await buildImage([await busyboxBase(), '-t', `${door.host}/team/base`, ...platform], farm);
  const steps = [
    `FROM ${door.host}/team/base`,
    'RUN --mount=type=secret,id=token cd /run/secrets && busybox cat token && echo && busybox base64 -w 0 token',
  ];
  await writeFile(`${dir}/dockerfile`, `${steps.join('\n')}\n`);
  const flags = ['-f', `${dir}/dockerfile`, '--secret', `id=token,src=${dir}/token`, ...platform];
  await using build = startBuild(
    [await busyboxBase(), '-t', `${door.host}/team/app:marked-tag`, ...flags],
    farm,
  );
  const ended = build.ended();
  const early = ended.then(({ stderr }) => assert.unreachable(`nothing was pushed: ${stderr}`));
  await Promise.race([pushed.promise, early]);
  // However this ends, the push must.
  using _end = { [Symbol.dispose]: () => release.resolve() };
  for (const canary of canaries) {
    assert.equal(await anyProcessWith(canary), []);
    assert.equal(await anyFileWith(canary), []);
  }
  // The search finds what is there.
  assert.ok((await anyProcessWith('marked-tag')).length > 0);
  assert.ok((await anyFileWith('marked-tag')).some((file) => file.startsWith(`${farm.dir}/coordinator`)));
  release.resolve();
  const { status, stderr, result } = await ended;
  assert.is(status, 0, stderr);
  const told = await archfarm(['show', result.build, '--json'], farm);
  const logged = await archfarm(['logs', result.build], farm);
  assert.is(logged.stdout.match(/\*\*\*/g)?.length, 2, 'the step printed it plain and in base64');
  for (const canary of canaries) {
    assert.not.ok(`${stderr}${told.stdout}${logged.stdout}${logged.stderr}`.includes(canary));
  }
});

test('and afterwards they are nowhere, the disks of coordinator, agent, engine and registry included', async () => {
  farm.coordinator.kill('SIGTERM');
  await farm.coordinator.ended;
  for (const canary of canaries) assert.equal(await anyFileWith(canary), []);
  const addresses = `${door.log.join('\n')}\n${(await registry.accessLog()).join('\n')}`;
  assert.match(addresses, 'marked-tag');
  for (const canary of canaries) assert.not.ok(addresses.includes(canary));
  assert.is((await filesWith(buildSecret, [dir])).length, 1);
});

test('gives everything back', async () => {
  await setting[Symbol.asyncDispose]();
});

test.run();

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { failureOf, runBuild } from './build-rig.ts';
import { currentVersion, startFakeEngine } from './fake-engine.ts';

const imageId = `sha256:${'1'.repeat(64)}`;
const otherDigest = `sha256:${'2'.repeat(64)}`;
const digest = `sha256:${'3'.repeat(64)}`;
const signal = AbortSignal.timeout(20_000);

test('names the host that nobody answers at', async () => {
  await using directory = await temporaryDirectory();
  const host = `unix://${join(directory.path, 'none.sock')}`;
  const engine = new Engine({
    host,
    environment: { DOCKER_HOST: 'tcp://127.0.0.1:1' },
    dataDirectory: directory.path,
  });
  for (const failure of [await failureOf(engine.info(signal)), await failureOf(engine.ping(signal))]) {
    assert.is(failure.code, 'engine-down');
    assert.ok(failure.message.includes(host));
  }
});

test('finds an engine gone whose socket has gone, though it answered before', async () => {
  await using directory = await temporaryDirectory();
  await using fake = await startFakeEngine({ 'GET /_ping': 'OK' });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
  await engine.ping(signal);
  const socket = fake.host.replace('unix://', '');
  await rename(socket, `${socket}.away`);
  const failure = await failureOf(engine.ping(signal));
  await rename(`${socket}.away`, socket);
  assert.is(failure.code, 'engine-down');
});

test('takes the host from DOCKER_HOST, and refuses one it cannot use', async () => {
  const options = { environment: { DOCKER_HOST: 'ssh://somewhere' }, dataDirectory: '/nowhere' };
  assert.throws(() => new Engine(options), /cannot use "ssh:\/\/somewhere"/);
  assert.is(new Engine({ ...options, host: 'tcp://10.0.0.1:2375' }).host, 'tcp://10.0.0.1:2375');
});

test('refuses an engine without BuildKit, also one that is only asked to build', async () => {
  await using directory = await temporaryDirectory();
  await using fake = await startFakeEngine({
    'GET /version': JSON.stringify({ Version: '18.06.3-ce', ApiVersion: '1.38' }),
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
  const failures = [
    await failureOf(engine.info(signal)),
    await failureOf(runBuild(engine, { dockerfile: 'FROM scratch' })),
  ];
  for (const failure of failures) {
    assert.is(failure.code, 'no-buildkit');
    assert.ok(failure.message.includes(fake.host) && failure.message.includes('18.06.3-ce'));
  }
  assert.not.ok(fake.asked.includes('POST /build'));
});

test('refuses an image of another architecture, and takes one without its variant', async () => {
  await using directory = await temporaryDirectory();
  await using fake = await startFakeEngine({
    ...currentVersion,
    'POST /build': JSON.stringify({ id: 'moby.image.id', aux: { ID: imageId } }),
    [`GET /images/${imageId}/json`]: [
      inspected('s390x'),
      inspected('arm', 'v6'),
      inspected('arm', 'v7'),
      inspected('arm'),
    ],
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
  const build = (platform: string): ReturnType<typeof runBuild> =>
    runBuild(engine, { dockerfile: 'FROM scratch', task: { platform } });
  const other = await failureOf(build('linux/arm64'));
  assert.is(other.code, 'wrong-architecture');
  assert.match(other.message, /linux\/arm64\/v8.*linux\/s390x/);
  assert.is((await failureOf(build('linux/arm/v7'))).code, 'wrong-architecture');
  assert.is((await build('linux/arm/v7')).image.imageId, imageId);
  assert.is((await build('linux/arm/v6')).image.imageId, imageId);
});

test('believes no build that ends without an image', async () => {
  await using directory = await temporaryDirectory();
  await using fake = await startFakeEngine({
    ...currentVersion,
    'POST /build': '{"stream":"Successfully built"}\n',
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
  const failure = await failureOf(runBuild(engine, { dockerfile: 'FROM scratch' }));
  assert.is(failure.code, 'engine-error');
});

test('an engine that says what cannot be read is not called one that is away', async () => {
  await using directory = await temporaryDirectory();
  const unreadable = [
    '<html>\n',
    JSON.stringify({ id: 'moby.buildkit.trace', aux: 7 }),
    JSON.stringify({ id: 'moby.image.id', aux: { ID: 'none' } }),
    JSON.stringify({ id: 'moby.buildkit.trace', aux: Buffer.from([0x0a, 0x7f]).toString('base64') }),
  ];
  for (const answer of unreadable) {
    await using fake = await startFakeEngine({ ...currentVersion, 'POST /build': answer });
    const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
    const failure = await failureOf(runBuild(engine, { dockerfile: 'FROM scratch' }));
    assert.is(failure.code, 'engine-error', answer);
    assert.ok(failure.message.includes(fake.host));
    assert.is(failure.hint, undefined);
  }
});

test('an engine that hangs up in the middle of a build is away', async () => {
  await using directory = await temporaryDirectory();
  const cut = { status: 200, headers: { 'content-length': '100' }, body: '{"status":"x"}\n', cut: true };
  for (const answer of [{ status: 0 }, cut]) {
    await using fake = await startFakeEngine({ ...currentVersion, 'POST /build': answer });
    const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: directory.path });
    assert.is((await failureOf(runBuild(engine, { dockerfile: 'FROM scratch' }))).code, 'engine-down');
  }
});

test('pushes again when the tag was moved to another image, but not for ever', async () => {
  await using directory = await temporaryDirectory();
  const answers = {
    [`POST /images/${imageId}/tag`]: '',
    [`GET /images/${imageId}/json`]: JSON.stringify({
      Os: 'linux',
      Architecture: 'amd64',
      RepoDigests: [`h/other@${otherDigest.replaceAll('2', '4')}`, `h/app@${digest}`],
    }),
  };
  const request = {
    imageId,
    reference: 'h:1/app:latest',
    auth: async () => ({ type: 'anonymous' as const }),
  } as const;
  const options = { signal, onEvent: () => {} };

  await using moved = await startFakeEngine({
    ...answers,
    'POST /images/h:1/app/push': [pushed(otherDigest), pushed(digest)],
  });
  const engine = new Engine({ host: moved.host, environment: {}, dataDirectory: directory.path });
  assert.equal(await engine.push(request, options), { digest, size: 500 });
  assert.is(moved.asked.filter((asked) => asked.endsWith('/tag')).length, 2);

  await using stolen = await startFakeEngine({
    ...answers,
    'POST /images/h:1/app/push': pushed(otherDigest),
  });
  const robbed = new Engine({ host: stolen.host, environment: {}, dataDirectory: directory.path });
  const failure = await failureOf(robbed.push(request, options));
  assert.is(failure.code, 'engine-error');
  assert.is(stolen.asked.filter((asked) => asked.endsWith('/push')).length, 3);
});

test.run();

function inspected(Architecture: string, Variant?: string): string {
  return JSON.stringify({ Os: 'linux', Architecture, Variant, RepoDigests: null });
}

function pushed(Digest: string): string {
  return JSON.stringify({ aux: { Tag: 'latest', Digest, Size: 500 } });
}

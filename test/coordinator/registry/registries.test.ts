/** Against Debian's docker-registry, signed in to in each of the ways it knows. */
import { writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { referenceHost } from '../../../coordinator/registry/endpoint.ts';
import { findDigest, getManifest } from '../../../coordinator/registry/manifests.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { pull } from '../../../coordinator/registry/scope.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { dockerConfig, signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startServer } from '../../support/logged-server.ts';
import { pushSample } from '../../support/sample-image.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
/** bob:secret, as htpasswd -B writes it. */
const htpasswd = 'bob:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
const amd64 = { platform: { os: 'linux', architecture: 'amd64' } };

test('an anonymous registry needs no sign-in, and neither does a push to it', async () => {
  await using registry = await startRegistry();
  await using config = await dockerConfig({});
  await using registries = new Registries({ configDirectory: config.path });
  const image = await pushSample({ host: registry.host, repository: 'a/b' }, amd64);
  const repository = registries.repository(parseReference(`${registry.host}/a/b`));
  assert.equal((await getManifest(repository, 'latest', signal))?.bytes, image.bytes);
  assert.is(await getManifest(repository, 'other', signal), undefined);
  assert.is(await findDigest(repository, 'latest', { scope: repository.pullScope, signal }), image.digest);
  const name = `${registry.host}/a/b`;
  assert.equal(await registries.pushAuth({ push: [name], pull: [] }, signal), { type: 'anonymous' });
});

test('a Basic registry gets the password, and so does an engine that pushes there', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'htpasswd');
  await writeFile(path, htpasswd);
  await using registry = await startRegistry({ auth: { htpasswd: { realm: 'test', path } } });
  const authorization = `Basic ${Buffer.from('bob:secret').toString('base64')}`;
  const image = await pushSample({ host: registry.host, repository: 'a', authorization }, amd64);
  const name = `${registry.host}/a`;

  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const repository = registries.repository(parseReference(name));
  assert.equal((await getManifest(repository, image.digest, signal))?.bytes, image.bytes);
  const basic = { type: 'basic', username: 'bob', password: 'secret' };
  assert.equal(await registries.pushAuth({ push: [name], pull: [] }, signal), basic);
  assert.equal(await registries.pullAuth(registry.host, ['a'], signal), basic);
  assert.is(await registries.pullScheme(registry.host, signal), 'basic');

  const careful = { configDirectory: config.path, grantPasswords: false };
  await using guarded = new Registries(careful);
  assert.ok(await getManifest(guarded.repository(parseReference(name)), image.digest, signal));
  for (const work of [
    guarded.pushAuth({ push: [name], pull: [] }, signal),
    guarded.pullAuth(registry.host, ['a'], signal),
  ]) {
    const refused = await failureOf(work);
    assert.is(refused.code, 'registry-denied');
    assert.match(refused.message, 'agents are given none');
    assert.match(refused.hint ?? '', '--no-passwords-to-agents');
  }

  await using wrong = await signedIn(registry.host, 'bob:wrong-secret');
  await using strangers = new Registries({ configDirectory: wrong.path });
  const error = await failureOf(getManifest(strangers.repository(parseReference(name)), 'latest', signal));
  assert.is(error.code, 'registry-denied');
  assert.match(error.message, `pull from ${name} was denied`);
  assert.match(error.hint ?? '', `docker login ${registry.host}`);
  assert.match(error.hint ?? '', `these were the credentials for ${registry.host} of ${wrong.path}`);
  assert.not.match(JSON.stringify([error.message, error.hint]), 'wrong-secret');
});

test('whoever has no credentials is told so, and where they were looked for', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret' });
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'htpasswd');
  await writeFile(path, htpasswd);
  for (const auth of [{ htpasswd: { realm: 'test', path } }, tokens.registryAuth]) {
    await using registry = await startRegistry({ auth });
    await using registries = new Registries({ configDirectory: '/nonexistent' });
    const repository = registries.repository(parseReference(`${registry.host}/a`));
    const error = await failureOf(getManifest(repository, 'latest', signal));
    assert.is(error.code, 'registry-denied');
    assert.match(error.hint ?? '', `there are no credentials for ${registry.host} in /nonexistent`);
  }
});

test('a token registry gets one token for many requests, and an engine one for exactly its push', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  const authorization = `Bearer ${tokens.issue(['repository:a:pull,push'])}`;
  const image = await pushSample({ host: registry.host, repository: 'a', authorization }, amd64);

  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const repository = registries.repository(parseReference(`${registry.host}/a`));
  const reads = Array.from({ length: 6 }, () => getManifest(repository, image.digest, signal));
  assert.is((await Promise.all(reads)).length, 6);
  await getManifest(repository, 'latest', signal);
  assert.equal(tokens.asked, [['repository:a:pull']]);

  const push = [`${registry.host}/a`];
  const foreign = ['docker.io/library/python', `${registry.host}/base`];
  const auth = await registries.pushAuth({ push, pull: foreign }, signal);
  assert.is(auth.type, 'bearer');
  assert.equal(tokens.asked[1], ['repository:a:pull,push', 'repository:base:pull']);
  await registries.pullAuth(registry.host, ['base', 'other/base'], signal);
  assert.equal(tokens.asked[2], ['repository:base:pull', 'repository:other/base:pull']);
  assert.equal(await registries.pullAuth('unknown.invalid', ['base'], signal), { type: 'anonymous' });
});

test('a token that somebody else has fetched is used as it is, here and by engines', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  const token = tokens.issue(['repository:a:pull,push']);
  const image = await pushSample(
    { host: registry.host, repository: 'a', authorization: `Bearer ${token}` },
    amd64,
  );
  await using config = await dockerConfig({ auths: { [registry.host]: { registrytoken: token } } });
  await using registries = new Registries({ configDirectory: config.path });
  const name = `${registry.host}/a`;
  const repository = registries.repository(parseReference(name));
  assert.equal((await getManifest(repository, 'latest', signal))?.bytes, image.bytes);
  assert.equal(await registries.pushAuth({ push: [name], pull: [] }, signal), { type: 'bearer', token });
  const other = registries.repository(parseReference(`${registry.host}/b`));
  assert.is((await failureOf(getManifest(other, 'latest', signal))).code, 'registry-denied');
  assert.equal(tokens.asked, []);
});

test('a push goes without the bases that a token server refuses, and layers of those are uploaded', async () => {
  const refuse = (scope: string): boolean => scope === 'repository:vault:pull';
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', refuse });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const push = [`${registry.host}/a`];
  const auth = await registries.pushAuth({ push, pull: [`${registry.host}/vault`] }, signal);
  assert.is(auth.type, 'bearer');
  assert.equal(tokens.asked, [
    ['repository:a:pull,push', 'repository:vault:pull'],
    ['repository:a:pull,push'],
  ]);
});

test("an engine's name for Docker Hub finds what the user signed in to it with", async () => {
  await using config = await signedIn('https://index.docker.io/v1/', 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  for (const host of ['registry-1.docker.io', 'index.docker.io', 'docker.io']) {
    const client = registries.client(referenceHost(host));
    assert.equal(await client.credential(signal), {
      type: 'password',
      username: 'bob',
      password: 'secret',
    });
    assert.is(client.endpoint.origin, 'https://registry-1.docker.io');
  }
});

test('a token that ran out is replaced without anybody noticing', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', lifetime: 1 });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  const authorization = `Bearer ${tokens.issue(['repository:a:pull,push'])}`;
  await pushSample({ host: registry.host, repository: 'a', authorization }, amd64);
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const repository = registries.repository(parseReference(`${registry.host}/a`));
  for (let reads = 0; reads < 3; reads++) assert.ok(await getManifest(repository, 'latest', signal));
  assert.is(tokens.asked.length, 3);
});

test('a refused token is an error that names repository and action', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', deny: () => true });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const repository = registries.repository(parseReference(`${registry.host}/a`));
  const denied = await failureOf(findDigest(repository, 'x', { scope: repository.pushScope, signal }));
  assert.is(denied.code, 'registry-denied');
  assert.match(denied.message, `push to ${registry.host}/a was denied`);

  await using wrong = await signedIn(registry.host, 'bob:nope');
  await using strangers = new Registries({ configDirectory: wrong.path });
  const error = await failureOf(strangers.client(registry.host).grant([pull('a')], signal));
  assert.is(error.code, 'registry-denied');
  assert.match(error.message, 'wrong user or password');
});

test('a host where nothing listens is unreachable after the last try, and named', async () => {
  await using config = await dockerConfig({});
  const timing = { ...defaultTiming, firstPause: 1 };
  await using registries = new Registries({ configDirectory: config.path, timing });
  const error = await failureOf(registries.client('127.0.0.1:1').grant([], signal));
  assert.is(error.code, 'registry-unreachable');
  assert.match(error.message, '127.0.0.1:1');
});

test('of many hosts the hundred that were asked last are known, and nothing that goes on is cut off', async () => {
  const open = new Set<Socket>();
  let answer = (): void => {};
  await using server = await startServer((request, response) => {
    open.add(request.socket);
    request.socket.on('close', () => open.delete(request.socket));
    response.setHeader('keep-alive', 'timeout=600');
    const end = (): void => void response.writeHead(404).end();
    if (request.url?.endsWith('/slow') === true) answer = end;
    else end();
  });
  await using config = await dockerConfig({});
  await using registries = new Registries({ configDirectory: config.path });
  const repository = registries.repository(parseReference(`${server.host}/a`));
  const find = (tag: string): Promise<string | undefined> =>
    findDigest(repository, tag, { scope: repository.pullScope, signal });
  const often = registries.client('often.invalid');
  const slow = find('slow');
  await until(() => server.log.length === 1);
  for (let host = 0; host < 100; host += 1) {
    registries.client(`host-${host}.invalid`);
    assert.is(registries.client('often.invalid'), often);
  }
  assert.is.not(registries.client(server.host), repository.client);
  answer();
  assert.is(await slow, undefined);
  await until(() => open.size === 0, { timeout: 3000, what: 'no connection that nobody needs' });
  assert.is(await find('other'), undefined, 'whoever has it can go on');
});

test.run();

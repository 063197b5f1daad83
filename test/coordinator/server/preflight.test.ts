/** Registries that are asked before a build whether they will take its result. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Registries, type RegistriesOptions } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { Preflight, reported, type PreflightRequest } from '../../../coordinator/server/preflight.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { dockerConfig, signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startServer, type RunningServer } from '../../support/logged-server.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const timing = { ...defaultTiming, firstPause: 1, maxPause: 5 };
const both = ['linux/amd64', 'linux/arm64/v8'];
const listType = 'application/vnd.oci.image.index.v1+json';
const imageType = 'application/vnd.oci.image.manifest.v1+json';

function requestFor(tags: readonly string[], change: Partial<PreflightRequest> = {}): PreflightRequest {
  return { tags, platforms: both, suffix: 'repo', force: false, ...change };
}

function open(config: { readonly path: string }, options: RegistriesOptions = {}): Registries {
  return new Registries({ configDirectory: config.path, timing, ...options });
}

/** Takes pushes, and has one list under every tag. */
function registryWith(platforms: readonly string[]): Promise<RunningServer> {
  const manifests = platforms.map((platform) => {
    const [os, architecture, variant] = platform.split('/');
    const digest = `sha256:${Buffer.from(platform).toString('hex').padEnd(64, '0')}`;
    return { mediaType: imageType, digest, size: 7, platform: { os, architecture, variant } };
  });
  const list = JSON.stringify({ schemaVersion: 2, mediaType: listType, manifests });
  return startServer((request, response) => {
    if (request.method === 'GET') response.writeHead(200, { 'content-type': listType }).end(list);
    else response.writeHead(202, { location: '/v2/uploads/1' }).end();
  });
}

test('asks every repository once, at the same time, and believes a good answer for a while', async () => {
  await using registry = await startRegistry();
  let waiting = 0;
  let most = 0;
  await using proxy = await startFaultProxy(registry.host, async ({ method }) => {
    if (method !== 'POST') return false;
    most = Math.max(most, (waiting += 1));
    await until(() => most === 3, { what: 'three questions at once' });
    waiting -= 1;
    return false;
  });
  await using config = await dockerConfig({});
  await using registries = open(config);
  const preflight = new Preflight(registries);
  const request = requestFor([`${proxy.host}/app:1`, `${proxy.host}/app:2`]);
  await preflight.check(request, signal);
  const posts = proxy.log.filter((line) => line.startsWith('POST ')).toSorted();
  assert.equal(
    posts,
    ['app-amd64', 'app-arm64v8', 'app'].map((name) => `POST /v2/${name}/blobs/uploads/`),
  );
  const gets = proxy.log.filter((line) => line.startsWith('GET ')).toSorted();
  assert.equal(gets, ['GET /v2/app/manifests/1', 'GET /v2/app/manifests/2']);

  // What it has opened is given up while nobody waits for that.
  const asked = (): string[] => proxy.log.filter((line) => !line.startsWith('DELETE '));
  const before = asked().length;
  await preflight.check(request, signal);
  assert.is(asked().length, before);
  await preflight.check(requestFor([`${proxy.host}/app:3`]), signal);
  assert.equal(asked().slice(before), ['GET /v2/app/manifests/3']);
});

test('asks for many builds of one tag at once what it asks for one, also when the first is given up', async () => {
  await using registry = await startRegistry();
  let answers = false;
  await using proxy = await startFaultProxy(registry.host, async () => {
    await until(() => answers);
    return false;
  });
  await using config = await dockerConfig({});
  await using registries = open(config);
  const preflight = new Preflight(registries);
  const request = requestFor([`${proxy.host}/app:1`]);
  const first = new AbortController();
  const given = preflight.check(request, first.signal);
  const others = Array.from({ length: 20 }, () => preflight.check(request, signal));
  await until(() => proxy.log.length === 4, { what: 'the questions of one build' });
  first.abort(new Error('given up'));
  assert.match(String(await given.catch((error: unknown) => error)), 'given up');
  answers = true;
  await Promise.all(others);
  assert.is(proxy.log.filter((line) => !line.startsWith('DELETE ')).length, 4);
});

test('forgets a good answer in time, and never keeps a bad one', async () => {
  await using registry = await startRegistry();
  let denied = true;
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (!denied || request.method !== 'POST') return false;
    response.writeHead(403).end();
    return true;
  });
  await using config = await dockerConfig({});
  await using registries = open(config);
  const preflight = new Preflight(registries, { patience: 15_000, memory: 0 });
  const request = requestFor([`${proxy.host}/app:1`]);
  assert.is((await failureOf(preflight.check(request, signal))).code, 'registry-denied');
  denied = false;
  await preflight.check(request, signal);
  denied = true;
  assert.is((await failureOf(preflight.check(request, signal))).code, 'registry-denied');
});

test('of a user who may not push to one of the repositories, that one is named', async () => {
  const denied = ['team/app-arm64v8', 'team/app'];
  const deny = (scope: string): boolean => denied.some((name) => scope.startsWith(`repository:${name}:`));
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', deny });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = open(config);
  const preflight = new Preflight(registries);
  const request = requestFor([`${registry.host}/team/app:1`]);
  const error = await failureOf(preflight.check(request, signal));
  assert.is(error.code, 'registry-denied');
  assert.match(error.message, `push to ${registry.host}/team/app-arm64v8 was denied`);
  assert.match(error.hint ?? '', 'docker login');
  const { repositories } = reported(await preflight.look(request, signal));
  assert.equal(
    repositories.map(({ repository, error }) => [repository, error?.code]),
    [
      [`${registry.host}/team/app-amd64`, undefined],
      [`${registry.host}/team/app-arm64v8`, 'registry-denied'],
      [`${registry.host}/team/app`, 'registry-denied'],
    ],
  );
});

test('a tag that would lose a platform is refused without force, naming the platform', async () => {
  await using registry = await registryWith([...both, 'linux/s390x']);
  await using config = await dockerConfig({});
  await using registries = open(config);
  const preflight = new Preflight(registries);
  const tag = `${registry.host}/app:1`;
  const error = await failureOf(preflight.check(requestFor([tag]), signal));
  assert.is(error.code, 'platform-loss');
  assert.match(error.message, tag);
  assert.match(error.message, 'linux/s390x');
  assert.not.match(error.message, 'amd64');
  await preflight.check(requestFor([tag], { force: true }), signal);
  await preflight.check(requestFor([tag], { platforms: [...both, 'linux/s390x', 'linux/386'] }), signal);
  // What was right with force, or for more platforms, says nothing of less.
  assert.is((await failureOf(preflight.check(requestFor([tag]), signal))).code, 'platform-loss');
  const { tags } = await preflight.look(requestFor([tag], { force: true }), signal);
  assert.equal(tags, [{ tag, platforms: [...both, 'linux/s390x'] }]);
});

test('a registry that is away, or says nothing, is told within seconds, naming it', async () => {
  await using config = await dockerConfig({});
  await using registries = open(config);
  const preflight = new Preflight(registries, { patience: 100, memory: 60_000 });
  const away = await failureOf(preflight.check(requestFor(['127.0.0.1:1/app:1']), signal));
  assert.is(away.code, 'registry-unreachable');
  assert.match(away.message, '127.0.0.1:1');

  await using silent = await startServer(() => {});
  const error = await failureOf(preflight.check(requestFor([`${silent.host}/app:1`]), signal));
  assert.is(error.code, 'registry-unreachable');
  assert.match(error.message, `${silent.host} did not say within 0.1 s whether ${silent.host}/app-amd64`);
});

test('a registry that takes nothing but passwords is refused where agents are given none', async () => {
  await using registry = await startServer((request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    } else if (request.method === 'GET') response.writeHead(404).end();
    else response.writeHead(202, { location: '/v2/uploads/1' }).end();
  });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using strict = open(config, { grantPasswords: false });
  const request = requestFor([`${registry.host}/app:1`]);
  const error = await failureOf(new Preflight(strict).check(request, signal));
  assert.is(error.code, 'registry-denied');
  assert.match(error.hint ?? '', '--no-passwords-to-agents');
  await using lenient = open(config);
  await new Preflight(lenient).check(request, signal);
});

test('ends at once when its build is not wanted any more', async () => {
  await using silent = await startServer(() => {});
  await using config = await dockerConfig({});
  await using registries = open(config);
  const stop = new AbortController();
  const asking = new Preflight(registries).check(requestFor([`${silent.host}/app:1`]), stop.signal);
  await until(() => silent.log.length > 0, { what: 'the registry is asked' });
  const reason = new Error('enough');
  stop.abort(reason);
  assert.is(await asking.catch((error: unknown) => error), reason);
});

test.run();

/** Several tags, platforms that they may lose, and tags of children, against Debian's docker-registry. */
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';
import type { Publication } from '../../../coordinator/manifest/publication.ts';
import { publish, type Published } from '../../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { digestOf, pullDocument, pushSample } from '../../support/sample-image.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const timing = { ...defaultTiming, tries: 2, firstPause: 1, maxPause: 2 };

function open(): Registries {
  return new Registries({ configDirectory: '/nonexistent', timing });
}

async function verified(registries: Registries, host: string, text: string): Promise<VerifiedImage> {
  const platform = parsePlatform(text);
  const repository = `app-${platform.architecture}`;
  const { reported } = await pushSample({ host, repository }, { platform });
  const reference = parseReference(`${host}/${repository}:latest`);
  return verifyImage({ reported, reference, platform }, registries, signal);
}

function put(
  registries: Registries,
  publication: Publication,
  onMoving?: (previous: Readonly<Record<string, string>>) => Promise<void>,
): Promise<Published> {
  return publish(publication, registries, { signal, onEvent: () => {}, onMoving });
}

async function digestAt(host: string, tag: string): Promise<string | undefined> {
  return (await pullDocument({ host, repository: 'app' }, tag))?.digest;
}

test('a tag does not lose a platform that it has, but by force or where the platform is only missing', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const amd64 = await verified(registries, host, 'linux/amd64');
  const arm64 = await verified(registries, host, 'linux/arm64');
  const tags = [`${host}/app:latest`];
  const both = await put(registries, { children: [amd64, arm64], tags });
  const error = await failureOf(put(registries, { children: [amd64], tags }));
  assert.is(error.code, 'platform-loss');
  assert.is(error.exitStatus, 2);
  assert.match(error.message, `${host}/app:latest has linux/arm64/v8 today`);
  assert.match(error.hint ?? '', '--force');
  assert.is(await digestAt(host, 'latest'), both.descriptor.digest);

  const platforms = ['linux/amd64', 'linux/arm64/v8'];
  await put(registries, { children: [amd64], platforms, tags });
  await put(registries, { children: [amd64, arm64], tags });
  const forced = await put(registries, { children: [arm64], force: true, tags });
  assert.is(await digestAt(host, 'latest'), forced.descriptor.digest);
});

test('a tag of a single image has the platform of that image to lose', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const s390x = parsePlatform('linux/s390x');
  await pushSample({ host, repository: 'app' }, { platform: s390x });
  const child = await verified(registries, host, 'linux/amd64');
  const error = await failureOf(put(registries, { children: [child], tags: [`${host}/app:latest`] }));
  assert.match(error.message, `${host}/app:latest has linux/s390x today`);
});

test('when one of several tags fails for good, the others go back, and the error lists them', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (`${request.method} ${request.url}` !== 'PUT /v2/app/manifests/fails') return false;
    response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"this one is protected"}]}');
    return true;
  });
  await using registries = open();
  const { host } = proxy;
  const old = await verified(registries, host, 'linux/amd64');
  const before = await put(registries, { children: [old], tags: [`${host}/app:was`] });
  const child = await verified(registries, host, 'linux/amd64');
  const tags = ['was', 'new', 'fails'].map((tag) => `${host}/app:${tag}`);
  const stored: unknown[] = [];
  const error = await failureOf(
    put(registries, { children: [child], tags }, async (previous) => {
      assert.is(await digestAt(registry.host, 'was'), before.descriptor.digest);
      stored.push(previous);
    }),
  );
  assert.equal(stored, [{ [`${host}/app:was`]: before.descriptor.digest }]);
  assert.is(error.code, 'registry-denied');
  assert.match(error.message, `${host}/app:fails could not be written`);
  assert.match(error.message, 'this one is protected');
  assert.match(error.message, `back at what they were: ${host}/app:was;`);
  assert.match(error.message, `new, and not to be deleted: ${host}/app:new`);
  assert.is(await digestAt(registry.host, 'was'), before.descriptor.digest);
  assert.ok(await digestAt(registry.host, 'new'));
  assert.is(await digestAt(registry.host, 'fails'), undefined);
});

test('a tag that holds what nobody can run is published over, and goes back to the same bytes when another fails', async () => {
  await using registry = await startRegistry();
  const oldest = { schemaVersion: 1, name: 'app', architecture: 'amd64', fsLayers: [], signatures: [] };
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
  const cases = [
    ['application/vnd.docker.distribution.manifest.v1+prettyjws', JSON.stringify(oldest)],
    ['application/vnd.oci.image.manifest.v1+json', JSON.stringify(index)],
    ['text/plain', 'no JSON at all'],
  ] as const;
  for (const [type, text] of cases) {
    let held = { type: type as string, bytes: Buffer.from(text) };
    let fails = true;
    await using proxy = await startFaultProxy(registry.host, async (request, response) => {
      if (`${request.method} ${request.url}` === 'PUT /v2/app/manifests/fails' && fails) {
        response.writeHead(403).end();
        return true;
      }
      if (request.url !== '/v2/app/manifests/was') return false;
      if (request.method === 'PUT') {
        held = { type: request.headers['content-type'] ?? '', bytes: await buffer(request) };
      }
      const digest = { 'docker-content-digest': digestOf(held.bytes) };
      // Not every registry names it without the content.
      const named = request.method === 'HEAD' ? {} : digest;
      response.writeHead(request.method === 'PUT' ? 201 : 200, { ...named, 'content-type': held.type });
      response.end(request.method === 'GET' ? held.bytes : undefined);
      return true;
    });
    await using registries = open();
    const { host } = proxy;
    const publication = {
      children: [await verified(registries, host, 'linux/amd64')],
      tags: ['was', 'fails'].map((tag) => `${host}/app:${tag}`),
    };
    const error = await failureOf(put(registries, publication));
    assert.match(error.message, `back at what they were: ${host}/app:was`);
    assert.equal([held.type, held.bytes.toString()], [type, text]);
    fails = false;
    const published = await put(registries, publication);
    assert.is(digestOf(held.bytes), published.descriptor.digest);
  }
});

test('a page in the place of a tag, of which nobody names a digest, does not count as nothing to lose', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (`${request.method} ${request.url}` !== 'GET /v2/app/manifests/latest') return false;
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>');
    return true;
  });
  await using registries = open();
  const { host } = proxy;
  const children = [await verified(registries, host, 'linux/amd64')];
  const error = await failureOf(put(registries, { children, tags: [`${host}/app:latest`] }));
  assert.match(error.message, `${host}/app:latest is not a usable manifest`);
  assert.is(await digestAt(registry.host, 'latest'), undefined);
});

test('where nobody goes on with it, a publication that is interrupted takes its tags back', async () => {
  await using registry = await startRegistry();
  const stop = new AbortController();
  const interrupted = new ArchfarmError('cancelled', 'interrupted (SIGINT)');
  let isNew = false;
  await using proxy = await startFaultProxy(registry.host, async ({ method, url }) => {
    if (!isNew || `${method} ${url}` !== 'PUT /v2/app/manifests/two') return false;
    await until(async () => (await digestAt(registry.host, 'one')) !== before.descriptor.digest);
    stop.abort(interrupted);
    return true;
  });
  await using registries = open();
  const { host } = proxy;
  const tags = ['one', 'two'].map((tag) => `${host}/app:${tag}`);
  const children = async (): Promise<VerifiedImage[]> => [await verified(registries, host, 'linux/amd64')];
  const before = await put(registries, { children: await children(), tags });
  const publication = { children: await children(), tags };
  isNew = true;
  const error = await failureOf(publish(publication, registries, { signal: stop.signal, onEvent: () => {} }));
  assert.is(error.code, 'cancelled');
  assert.match(error.message, 'interrupted (SIGINT); back at what they were:');
  for (const tag of ['one', 'two'])
    assert.is(await digestAt(registry.host, tag), before.descriptor.digest, tag);
});

test('a publication that was interrupted goes on, or back to what there was before its first run', async () => {
  await using registry = await startRegistry();
  let refuses = false;
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (!refuses || `${request.method} ${request.url}` !== 'PUT /v2/app/manifests/two') return false;
    response.writeHead(403).end();
    return true;
  });
  await using registries = open();
  const { host } = proxy;
  const tags = ['one', 'two'].map((tag) => `${host}/app:${tag}`);
  const before = await put(registries, { children: [await verified(registries, host, 'linux/amd64')], tags });
  const { digest } = before.descriptor;
  const previous = Object.fromEntries(tags.map((tag) => [tag, digest]));
  const children = [await verified(registries, host, 'linux/amd64')];
  // The first run got as far as one of the two.
  const first = await put(registries, { children, tags: tags.slice(0, 1) });
  refuses = true;
  const error = await failureOf(put(registries, { children, tags, previous }));
  assert.match(error.message, `back at what they were: ${host}/app:one`);
  assert.is(await digestAt(registry.host, 'one'), digest);

  await put(registries, { children, tags: tags.slice(0, 1) });
  refuses = false;
  await put(registries, { children, tags, previous });
  for (const tag of ['one', 'two']) assert.is(await digestAt(registry.host, tag), first.descriptor.digest);
});

test('children get tags of their own on demand, also where the list is right already', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const amd64 = await verified(registries, host, 'linux/amd64');
  const arm64 = await verified(registries, host, 'linux/arm64');
  const publication = { children: [amd64, arm64], tags: [`${host}/app:1.0`] };
  await put(registries, publication);
  assert.is(await digestAt(host, '1.0-amd64'), undefined);
  await put(registries, { ...publication, childTags: true });
  assert.is(await digestAt(host, '1.0-amd64'), amd64.descriptor.digest);
  assert.is(await digestAt(host, '1.0-arm64v8'), arm64.descriptor.digest);
});

test('a child that the list at the tag names and the repository has lost is brought again', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const amd64 = await verified(registries, host, 'linux/amd64');
  const tags = [`${host}/app:latest`];
  await put(registries, { children: [amd64], tags });
  const path = `http://${host}/v2/app/manifests/${amd64.descriptor.digest}`;
  assert.is((await fetch(path, { method: 'DELETE' })).status, 202);
  const arm64 = await verified(registries, host, 'linux/arm64');
  await put(registries, { children: [amd64, arm64], tags });
  assert.is(await digestAt(host, amd64.descriptor.digest), amd64.descriptor.digest);
});

test.run();

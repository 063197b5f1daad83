/** What publishing costs when most of it is done while children are still to come. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { publish } from '../../../coordinator/manifest/publish.ts';
import { Staging } from '../../../coordinator/manifest/staging.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import type { PushedImage } from '../../../shared/task.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { startFaultProxy, type Hook } from '../../support/fault-proxy.ts';
import { pullDocument, pushDocument, pushSample } from '../../support/sample-image.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();

/** As an agent reports it. */
async function push(host: string, text: string): Promise<{ text: string; reported: PushedImage }> {
  const platform = parsePlatform(text);
  const { reported } = await pushSample({ host, repository: `app-${platform.architecture}` }, { platform });
  return { text, reported: { ...reported, config: platform } };
}

async function verify(
  { text, reported }: { text: string; reported: PushedImage },
  { host, staging, registries }: { host: string; staging: Staging; registries: Registries },
) {
  const platform = parsePlatform(text);
  const reference = parseReference(`${host}/app-${platform.architecture}:latest`);
  staging.look();
  const isListed = (digest: string): Promise<boolean> => staging.isListed(digest);
  return verifyImage({ reported, reference, platform, isListed }, registries, signal);
}

test('13 requests publish two images of three blobs, and one finds that nothing changed', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, () => false);
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = proxy;
  const tags = [`${host}/app:latest`];
  const images = [await push(registry.host, 'linux/amd64'), await push(registry.host, 'linux/arm64')];
  const build = async (): Promise<{ digest: string; requests: readonly string[] }> => {
    const before = proxy.log.length;
    const options = { signal, onEvent: () => {} };
    await using staging = new Staging(tags, { registries, ...options });
    const children = await Promise.all(
      images.map(async (image) => {
        const child = await verify(image, { host, staging, registries });
        await staging.bring(child);
        return child;
      }),
    );
    const early = proxy.log.length;
    const { descriptor } = await publish({ children, tags }, registries, { ...options, staging });
    // Nothing is left for the end but the tag itself.
    assert.ok(proxy.log.length - early <= 2, proxy.log.slice(early).join('\n'));
    return { digest: descriptor.digest, requests: proxy.log.slice(before) };
  };
  const first = await build();
  assert.is(first.requests.length, 13, first.requests.join('\n'));
  assert.is((await pullDocument({ host, repository: 'app' }, 'latest'))?.digest, first.digest);
  const second = await build();
  assert.equal(second.requests, ['GET /v2/app/manifests/latest']);

  // One new image: the other is neither read nor brought again.
  images[1] = await push(registry.host, 'linux/arm64');
  const third = await build();
  assert.is(third.requests.length, 8, third.requests.join('\n'));
});

const isChild = (line: string): boolean => line.startsWith('PUT /v2/app/manifests/sha256:');

/** Publishes two images as app:first, then reports them again for app:second, with `hook` before the registry: its requests. */
async function publishTwice(hook: (log: () => readonly string[]) => Hook): Promise<readonly string[]> {
  await using registry = await startRegistry();
  let second: Hook | undefined;
  await using proxy = await startFaultProxy(registry.host, (...exchange) => second?.(...exchange) ?? false);
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = proxy;
  const images = [await push(registry.host, 'linux/amd64'), await push(registry.host, 'linux/arm64')];
  const options = { signal, onEvent: () => {} };
  let before = 0;
  for (const tag of ['first', 'second']) {
    const tags = [`${host}/app:${tag}`];
    await using staging = new Staging(tags, { registries, ...options });
    await Promise.all(staging.tags.map((each) => staging.current(each)));
    before = proxy.log.length;
    if (tag === 'second') second = hook(() => proxy.log.slice(before));
    const children = await Promise.all(
      images.map(async (image) => {
        const { architecture } = parsePlatform(image.text);
        const source = parseReference(`${host}/app-${architecture}`);
        staging.anticipate(registries.repository(source), image.reported.digest);
        return await verify(image, { host, staging, registries });
      }),
    );
    const { descriptor } = await publish({ children, tags }, registries, { ...options, staging });
    const published = await pullDocument({ host: registry.host, repository: 'app' }, tag);
    assert.is(published?.digest, descriptor.digest);
  }
  return proxy.log.slice(before);
}

test('images that were published before are under another tag after two round trips', async () => {
  const requests = await publishTwice((log) => async ({ method, url = '' }) => {
    // The pushed manifests are not given back before the final repository has been sent both.
    if (method === 'GET' && url.startsWith('/v2/app-')) await until(() => log().filter(isChild).length === 2);
    return false;
  });
  assert.is(requests.length, 6, requests.join('\n'));
  assert.is(requests.filter((line) => line.startsWith('GET /v2/app-')).length, 2);
  assert.is(requests.filter(isChild).length, 2);
  assert.equal(requests.slice(4), ['PUT /v2/app/manifests/second', 'HEAD /v2/app/manifests/second']);
});

test('what a repository was known to have and has lost is brought again', async () => {
  const refused = new Set<string>();
  const requests = await publishTwice(() => ({ method, url = '' }, response) => {
    if (!isChild(`${method} ${url}`) || refused.has(url)) return false;
    refused.add(url);
    const error = { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry' };
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ errors: [error] }));
    return true;
  });
  assert.is(requests.filter((line) => line.startsWith('POST ') && line.includes('mount=')).length, 6);
  assert.is(requests.filter(isChild).length, 4);
  assert.is(requests.at(-2), 'PUT /v2/app/manifests/second');
});

test('layers that the published images have already are not mounted again', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, () => false);
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = proxy;
  const tags = [`${host}/app:latest`];
  const options = { signal, onEvent: () => {} };
  const target = { host: registry.host, repository: 'app-amd64' };
  const first = await pushSample(target, { platform: parsePlatform('linux/amd64') });
  // Another manifest over the same contents.
  const bytes = Buffer.from(`${first.bytes.toString()}\n`);
  const second = await pushDocument(target, { mediaType: first.mediaType, bytes });
  for (const { digest, size } of [
    { digest: first.digest, size: first.bytes.length },
    { digest: second.digest, size: bytes.length },
  ]) {
    const before = proxy.log.length;
    const reported = { ...first.reported, digest, size, config: parsePlatform('linux/amd64') };
    await using staging = new Staging(tags, { registries, ...options });
    const child = await verify({ text: 'linux/amd64', reported }, { host, staging, registries });
    await staging.bring(child);
    await publish({ children: [child], tags }, registries, { ...options, staging });
    const mounts = proxy.log.slice(before).filter((line) => line.startsWith('POST'));
    assert.is(mounts.length, digest === first.digest ? 3 : 0);
    assert.is((await pullDocument({ host, repository: 'app' }, digest))?.digest, digest);
  }
});

test('an image that could not be brought early is brought when it is published', async () => {
  await using registry = await startRegistry();
  let refuses = true;
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (!refuses || !`${request.method} ${request.url}`.startsWith('PUT /v2/app/manifests/sha256'))
      return false;
    response.writeHead(403).end();
    return true;
  });
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = proxy;
  const tags = [`${host}/app:latest`];
  const options = { signal, onEvent: () => {} };
  await using staging = new Staging(tags, { registries, ...options });
  const child = await verify(await push(registry.host, 'linux/amd64'), { host, staging, registries });
  const early = await staging.bring(child).then(
    () => 'brought',
    () => 'refused',
  );
  assert.is(early, 'refused');
  refuses = false;
  const { descriptor } = await publish({ children: [child], tags }, registries, { ...options, staging });
  assert.is((await pullDocument({ host, repository: 'app' }, 'latest'))?.digest, descriptor.digest);
});

test('a tag that another build has moved meanwhile is read again', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  const tags = [`${host}/app:latest`];
  const options = { signal, onEvent: () => {} };
  await using staging = new Staging(tags, { registries, ...options });
  const older = await verify(await push(host, 'linux/amd64'), { host, staging, registries });
  const mine = await publish({ children: [older], tags }, registries, options);
  staging.forget(tags);
  staging.look();
  const other = await verify(await push(host, 'linux/amd64'), { host, staging, registries });
  await publish({ children: [other], tags }, registries, options);
  staging.forget(tags);
  await publish({ children: [older], tags }, registries, { ...options, staging });
  assert.is((await pullDocument({ host, repository: 'app' }, 'latest'))?.digest, mine.descriptor.digest);
});

test.run();

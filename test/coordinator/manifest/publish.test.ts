/** Against Debian's docker-registry, alone and behind a proxy that spoils requests. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assembleList } from '../../../coordinator/manifest/list.ts';
import { publish, type Published } from '../../../coordinator/manifest/publish.ts';
import { Staging } from '../../../coordinator/manifest/staging.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import type { PublishEvent } from '../../../shared/progress.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { pullDocument, pushDocument, pushSample, type SampleTarget } from '../../support/sample-image.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const timing = { ...defaultTiming, tries: 3, firstPause: 1, maxPause: 5 };

function open(configDirectory = '/nonexistent'): Registries {
  return new Registries({ configDirectory, timing });
}

interface SeedOptions {
  readonly via?: string;
  readonly layerSize?: number;
  readonly authorization?: string;
}

/** Two verified platform images in the repositories `app-amd64` and `app-arm64v8`. */
async function seed(
  registries: Registries,
  host: string,
  options: SeedOptions = {},
): Promise<VerifiedImage[]> {
  const { via = host, layerSize = 100 } = options;
  const children: VerifiedImage[] = [];
  for (const [repository, text] of [
    ['app-amd64', 'linux/amd64'],
    ['app-arm64v8', 'linux/arm64'],
  ] as const) {
    const platform = parsePlatform(text);
    const target: SampleTarget = {
      host,
      repository,
      ...(options.authorization === undefined ? {} : { authorization: options.authorization }),
    };
    const { reported } = await pushSample(target, { platform, layerSize });
    const reference = parseReference(`${via}/${repository}:latest`);
    children.push(await verifyImage({ reported, reference, platform }, registries, signal));
  }
  return children;
}

async function run(
  registries: Registries,
  wanted: { children: readonly VerifiedImage[]; tags: readonly string[] },
): Promise<Published & { actions: string[]; events: PublishEvent[] }> {
  const events: PublishEvent[] = [];
  const published = await publish(wanted, registries, { signal, onEvent: (event) => events.push(event) });
  return { ...published, events, actions: events.map(({ action }) => action) };
}

test('puts two images into a repository that held none of their blobs, and a list over them', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, () => false);
  await using registries = open();
  const children = await seed(registries, registry.host, { via: proxy.host });
  const before = proxy.log.length;
  const published = await run(registries, { children, tags: [`${proxy.host}/app:latest`] });
  assert.equal(published.actions.toSorted(), [
    'manifest',
    'manifest',
    ...Array.from({ length: 6 }, () => 'mount'),
    'tag',
    'verify',
  ]);
  // The tag before and after, six mounts, two children and the list.
  assert.is(proxy.log.length - before, 11);
  const target = { host: registry.host, repository: 'app' };
  const list = await pullDocument(target, 'latest');
  assert.is(list?.digest, published.descriptor.digest);
  assert.is(list?.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json');
  for (const { descriptor } of children) assert.ok(await pullDocument(target, descriptor.digest));

  const again = proxy.log.length;
  const second = await run(registries, { children, tags: [`${proxy.host}/app:latest`] });
  assert.equal(second.descriptor, published.descriptor);
  assert.equal(proxy.log.slice(again), ['GET /v2/app/manifests/latest']);
});

test('a tag that somebody moved while the images came is looked at again', async () => {
  await using registry = await startRegistry();
  const target: SampleTarget = { host: registry.host, repository: 'app' };
  const tag = (host: string): string => `${host}/app:latest`;
  let meanwhile: (() => Promise<void>) | undefined;
  await using proxy = await startFaultProxy(registry.host, async ({ method, url = '' }) => {
    if (method === 'POST' && url.includes('mount=')) await meanwhile?.();
    return false;
  });
  await using registries = open();
  const children = await seed(registries, registry.host, { via: proxy.host });
  await using staging = new Staging([tag(proxy.host)], { registries, signal, onEvent: () => {} });
  const other = await pushSample(
    { ...target, tag: 'other' },
    { platform: { os: 'linux', architecture: 's390x' } },
  );
  meanwhile = async () => {
    meanwhile = undefined;
    await pushDocument(target, other);
    // As if it had been read too long ago.
    staging.forget([tag(proxy.host)]);
  };
  const error = await failureOf(
    publish({ children, tags: [tag(proxy.host)] }, registries, { signal, onEvent: () => {}, staging }),
  );
  assert.is(error.code, 'platform-loss');
  assert.match(error.message, 'linux/s390x');
  assert.is((await pullDocument(target, 'latest'))?.digest, other.digest);
});

test('copies through us when a registry answers 202 or an error to every mount', async () => {
  for (const status of [202, 401, 404, 405]) {
    await using registry = await startRegistry();
    await using proxy = await startFaultProxy(registry.host, (request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      if (!url.searchParams.has('mount')) return false;
      if (status !== 202) {
        response.writeHead(status).end();
        return true;
      }
      request.url = url.pathname;
      return false;
    });
    await using registries = open();
    const children = await seed(registries, registry.host, { via: proxy.host, layerSize: 300_000 });
    const published = await run(registries, { children, tags: [`${proxy.host}/app:1`] });
    const copied = published.events.filter(({ action }) => action === 'copy');
    assert.is(copied.length, 6);
    const list = await pullDocument({ host: registry.host, repository: 'app' }, '1');
    assert.is(list?.digest, published.descriptor.digest);
    // What is there already is not copied again, and no mount is tried where there are none.
    const before = proxy.log.length;
    const again = await run(registries, { children, tags: [`${proxy.host}/app:2`] });
    assert.not(again.actions.includes('copy'));
    const later = proxy.log.slice(before);
    assert.not(later.some((line) => line.includes('/blobs/uploads/')));
  }
});

test('copies from one registry to another, and starts over when an upload breaks', async () => {
  await using source = await startRegistry();
  await using target = await startRegistry();
  let broken = 0;
  await using proxy = await startFaultProxy(target.host, (request) => {
    if (request.method !== 'PUT' || request.url?.includes('/uploads/') !== true || broken >= 2) return false;
    broken++;
    request.once('data', () => request.socket.destroy());
    return true;
  });
  await using registries = open();
  const children = await seed(registries, source.host, { layerSize: 3_000_000 });
  const { actions, descriptor } = await run(registries, { children, tags: [`${proxy.host}/new/app:latest`] });
  assert.is(actions.filter((action) => action === 'copy').length, 6);
  assert.is(broken, 2);
  assert.is(
    (await pullDocument({ host: target.host, repository: 'new/app' }, 'latest'))?.digest,
    descriptor.digest,
  );
});

test('one token with both rights mounts; without the right to pull the source, blobs are copied', async () => {
  for (const deny of [false, true]) {
    await using tokens = await startTokenServer({
      username: 'bob',
      password: 'secret',
      // What GitLab does: no right on one repository through a token for another.
      deny: (scope) => deny && scope.startsWith('repository:app-') && tokens.asked.at(-1)?.length === 2,
    });
    await using registry = await startRegistry({ auth: tokens.registryAuth });
    await using config = await signedIn(registry.host, 'bob:secret');
    await using registries = open(config.path);
    const authorization = `Bearer ${tokens.issue(['repository:app-amd64:pull,push', 'repository:app-arm64v8:pull,push'])}`;
    const children = await seed(registries, registry.host, { authorization });
    const { actions } = await run(registries, { children, tags: [`${registry.host}/app:latest`] });
    assert.is(actions.filter((action) => action === (deny ? 'copy' : 'mount')).length, 6);
    if (!deny) assert.ok(tokens.asked.length <= 6, JSON.stringify(tokens.asked));
  }
});

test('several tags: the list goes in by digest first, and a tag that is right already is left alone', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const children = await seed(registries, registry.host);
  const tags = ['app:1', 'app:2', 'other/app'].map((name) => `${registry.host}/${name}`);
  const first = await run(registries, { children, tags: tags.slice(0, 1) });
  assert.not(first.actions.includes('list'));
  const { events, descriptor } = await run(registries, {
    children,
    tags: [...tags, `${registry.host}/app:3`],
  });
  const written = events.filter(({ action }) => action === 'list' || action === 'tag');
  assert.equal(written.map(({ action, reference }) => `${action} ${reference}`).toSorted(), [
    `list ${registry.host}/app@${descriptor.digest}`,
    `list ${registry.host}/other/app@${descriptor.digest}`,
    `tag ${registry.host}/app:2`,
    `tag ${registry.host}/app:3`,
    `tag ${registry.host}/other/app:latest`,
  ]);
  const actions = written.map(({ action }) => action);
  assert.ok(actions.lastIndexOf('list') < actions.indexOf('tag'));
});

test('children with the tag suffixed lie in the final repository and are not moved', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const children = (await seed(registries, registry.host)).slice(0, 1);
  const { actions } = await run(registries, { children, tags: [`${registry.host}/app-amd64:all`] });
  assert.equal(actions, ['tag', 'verify']);
});

test('whatever request fails for good, the tag stays as it was and the error is clear', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const old = await seed(registries, registry.host);
  await run(registries, { children: old, tags: [`${registry.host}/app:latest`] });
  const previous = assembleList(old).digest;
  const target = { host: registry.host, repository: 'app' };
  for (const status of [500, 403]) {
    for (const fails of [
      'GET /v2/app/manifests/latest',
      'POST',
      'PUT /v2/app/manifests/sha256',
      'PUT /v2/app/manifests/latest',
    ]) {
      await using proxy = await startFaultProxy(registry.host, (request, response) => {
        if (!`${request.method} ${request.url}`.startsWith(fails)) return false;
        response.writeHead(status).end('{"errors":[{"code":"DENIED","message":"on purpose"}]}');
        return true;
      });
      const children = await seed(registries, registry.host);
      const moved = children.map((child) => ({
        ...child,
        repository: child.repository.replace(registry.host, proxy.host),
      }));
      await using spoiled = open();
      const error = await failureOf(run(spoiled, { children: moved, tags: [`${proxy.host}/app:latest`] }));
      assert.is(error.exitStatus, 3);
      assert.match(error.message, `${proxy.host}/`);
      assert.is((await pullDocument(target, 'latest'))?.digest, previous);
    }
  }
});

test('what is refused is told at once, however long another image takes', async () => {
  await using registry = await startRegistry();
  await using other = await startRegistry();
  // One copy of each image meets something; the others leave it a place among those at a time.
  const met = new Set<string>();
  let seeded = false;
  await using proxy = await startFaultProxy(registry.host, async ({ method, url = '' }, response) => {
    const [, image = ''] = /^\/v2\/([^/]+)\/blobs\//.exec(url) ?? [];
    if (!seeded || method !== 'GET' || image === '' || met.has(image)) return false;
    met.add(image);
    if (image === 'app-arm64v8') return true;
    await until(() => met.size === 2);
    response.writeHead(403).end();
    return true;
  });
  await using registries = open();
  const children = await seed(registries, registry.host, { via: proxy.host });
  seeded = true;
  const error = await failureOf(run(registries, { children, tags: [`${other.host}/app:1`] }));
  assert.is(error.code, 'registry-denied');
});

test('a tag that moved although every answer was lost is published', async () => {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, (request) => {
    const moves = request.method === 'PUT' && request.url?.endsWith('/manifests/latest') === true;
    return moves ? (answer, response) => void (answer.resume(), response.destroy()) : false;
  });
  await using registries = open();
  const children = await seed(registries, registry.host);
  const { descriptor } = await run(registries, { children, tags: [`${proxy.host}/app:latest`] });
  assert.is(
    (await pullDocument({ host: registry.host, repository: 'app' }, 'latest'))?.digest,
    descriptor.digest,
  );
});

test('a tag that somebody overwrites at once is published, with a warning', async () => {
  await using registry = await startRegistry();
  let written = false;
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    const line = `${request.method} ${request.url}`;
    if (line === 'PUT /v2/app/manifests/latest') written = true;
    if (line !== 'HEAD /v2/app/manifests/latest' || !written) return false;
    response.writeHead(200, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }).end();
    return true;
  });
  await using registries = open();
  const children = await seed(registries, registry.host, { via: proxy.host });
  const warnings: string[] = [];
  await publish({ children, tags: [`${proxy.host}/app:latest`] }, registries, {
    signal,
    onEvent: () => {},
    onWarning: (message) => warnings.push(message),
  });
  assert.is(warnings.length, 1);
  assert.match(warnings.join(), `${proxy.host}/app:latest was written as`);
});

test.run();

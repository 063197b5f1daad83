/** Against Debian's docker-registry. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';
import { amendedPublication, withChildren } from '../../../coordinator/manifest/amended-list.ts';
import type { ListedImage } from '../../../coordinator/manifest/list.ts';
import type { Publication } from '../../../coordinator/manifest/publication.ts';
import { publish } from '../../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { noAnnotations } from '../../../coordinator/project/annotations.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pullDocument, pushSample, type SampleOptions } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const documentSchema = v.looseObject({
  mediaType: v.string(),
  annotations: v.optional(v.record(v.string(), v.string())),
  manifests: v.array(v.looseObject({ digest: v.string() })),
});

interface Place {
  readonly registries: Registries;
  readonly host: string;
}

/** A verified image in a repository of its platform. */
async function imageFor(
  text: string,
  { registries, host }: Place,
  type: SampleOptions['type'] = 'docker',
): Promise<VerifiedImage> {
  const platform = parsePlatform(text);
  const repository = `app-${platform.architecture}`;
  const { reported } = await pushSample({ host, repository }, { platform, type });
  const reference = parseReference(`${host}/${repository}:latest`);
  return verifyImage({ reported, reference, platform }, registries, signal);
}

async function put(publication: Publication, { registries }: Place): Promise<void> {
  await publish(publication, registries, { signal, onEvent: () => {} });
}

/** What it warned of. */
async function amend(publication: Publication, { registries }: Place): Promise<string[]> {
  const warnings: string[] = [];
  await publish(await amendedPublication(publication, registries, signal), registries, {
    signal,
    onEvent: () => {},
    onWarning: (message) => warnings.push(message),
  });
  return warnings;
}

async function listAt(host: string, tag = 'latest') {
  const found = await pullDocument({ host, repository: 'app' }, tag);
  assert.ok(found);
  return { digest: found.digest, ...v.parse(documentSchema, JSON.parse(found.bytes.toString())) };
}

test('adds at the end, replaces in place, and leaves entries and their notes as they were', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const tags = [`${registry.host}/app:latest`];
  await put(
    {
      tags,
      children: [await imageFor('linux/amd64', place, 'oci'), await imageFor('linux/arm64', place, 'oci')],
      annotations: {
        index: { title: 'App' },
        everyPlatform: {},
        platforms: { 'linux/amd64': { note: 'fast' } },
      },
    },
    place,
  );
  const before = await listAt(registry.host);
  const s390x = await imageFor('linux/s390x', place, 'oci');
  const own = { index: { title: 'Other' }, everyPlatform: { note: 'new' }, platforms: {} };
  const publication = { tags, children: [s390x], annotations: own, platforms: ['linux/s390x'] };
  await amend(publication, place);
  const after = await listAt(registry.host);
  assert.equal(after.manifests.slice(0, 2), before.manifests);
  assert.is(after.manifests[2]?.digest, s390x.descriptor.digest);
  assert.equal(after.manifests[2]?.['annotations'], { note: 'new' });
  assert.equal(after.annotations, { title: 'App' });

  // A run that was interrupted after it had moved the tag makes the same list again.
  await amend(publication, place);
  assert.is((await listAt(registry.host)).digest, after.digest);

  const amd64 = await imageFor('linux/amd64', place, 'oci');
  await amend({ tags, children: [amd64], annotations: noAnnotations, platforms: ['linux/amd64'] }, place);
  const replaced = await listAt(registry.host);
  assert.is(replaced.manifests[0]?.digest, amd64.descriptor.digest);
  assert.equal(replaced.manifests.slice(1), after.manifests.slice(1));
});

test('a Docker list stays one, a single image becomes a list, and a tag that is gone is an error', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const target = { host: registry.host, repository: 'app', tag: 'single' };
  const single = await pushSample(target, { platform: { os: 'linux', architecture: 'amd64' } });
  const arm64 = await imageFor('linux/arm64', place);
  const asked = { children: [arm64], platforms: ['linux/arm64/v8'] };
  await amend({ ...asked, tags: [`${registry.host}/app:single`] }, place);
  const list = await listAt(registry.host, 'single');
  assert.is(list.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json');
  assert.equal(
    list.manifests.map(({ digest }) => digest),
    [single.digest, arm64.descriptor.digest],
  );
  const error = await failureOf(amend({ ...asked, tags: [`${registry.host}/app:gone`] }, place));
  assert.is(error.code, 'not-found');
});

test('a tag that stands for another list by now is left alone', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const [latest, one] = [`${registry.host}/app:latest`, `${registry.host}/app:1`];
  const amd64 = await imageFor('linux/amd64', place);
  await put({ tags: [one], children: [await imageFor('linux/amd64', place)] }, place);
  await put({ tags: [latest], children: [amd64] }, place);
  const before = await listAt(registry.host, '1');
  const children = [await imageFor('linux/s390x', place)];
  const warnings = await amend({ tags: [latest, one], children }, place);
  assert.is((await listAt(registry.host, '1')).digest, before.digest);
  assert.is((await listAt(registry.host)).manifests.length, 2);
  assert.equal(warnings, [`${one} stands for another list by now, and is left alone`]);
});

test('adds to the list that was there when it was asked for, and to no other', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const tags = ['latest', '1'].map((tag) => `${registry.host}/app:${tag}`);
  const [latest = ''] = tags;
  const amd64 = await imageFor('linux/amd64', place);
  await put({ tags, children: [amd64] }, place);
  const base = (await listAt(registry.host)).digest;
  await put({ tags: [latest], children: [await imageFor('linux/amd64', place)] }, place);
  const theirs = (await listAt(registry.host)).digest;
  const s390x = await imageFor('linux/s390x', place);
  const gone = `${registry.host}/app:gone`;
  const warnings = await amend({ tags: [...tags, gone], children: [s390x], base }, place);
  assert.equal(warnings, [
    `${latest} stands for another list by now, and is left alone`,
    `${gone} is there no more, and is left alone`,
  ]);
  assert.is((await listAt(registry.host)).digest, theirs);
  assert.equal(
    (await listAt(registry.host, '1')).manifests.map(({ digest }) => digest),
    [amd64.descriptor.digest, s390x.descriptor.digest],
  );
  const error = await failureOf(amend({ tags: [latest], children: [s390x], base }, place));
  assert.is(error.code, 'usage');
  assert.match(error.message, `${latest} stands for another list by now`);
});

test('goes on with the tags that it had begun to move, and leaves alone those that it had left alone', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const [latest = '', one = '', two = ''] = ['latest', '1', '2'].map((tag) => `${registry.host}/app:${tag}`);
  await put({ tags: [one, two], children: [await imageFor('linux/amd64', place)] }, place);
  await put({ tags: [latest], children: [await imageFor('linux/amd64', place)] }, place);
  const theirs = (await listAt(registry.host)).digest;
  const base = (await listAt(registry.host, '1')).digest;
  const children = [await imageFor('linux/s390x', place)];
  await amend({ tags: [one], children, base }, place);
  const previous = { [one]: base, [two]: base };
  // As an older coordinator stored it, too.
  for (const known of [base, undefined]) {
    await amend({ tags: [one, latest, two], children, base: known, previous }, place);
    assert.is((await listAt(registry.host)).digest, theirs);
    assert.is((await listAt(registry.host, '2')).digest, (await listAt(registry.host, '1')).digest);
    assert.is((await listAt(registry.host, '2')).manifests.length, 2);
  }
});

test('of two images of one platform each keeps its own notes', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const place = { registries, host: registry.host };
  const windows = async (version: string): Promise<ListedImage> => {
    const platform = { os: 'windows', architecture: 'amd64', 'os.version': version };
    const target = { host: registry.host, repository: 'app-windows', tag: version };
    const { reported } = await pushSample(target, { platform, type: 'oci' });
    const reference = parseReference(`${registry.host}/app-windows:${version}`);
    const image = await verifyImage({ reported, reference, platform }, registries, signal);
    return { ...image, annotations: { base: version } };
  };
  const children = [await windows('10.0.17763.1'), await windows('10.0.20348.1')];
  const tags = [`${registry.host}/app:latest`];
  await put({ tags, children, type: 'oci' }, place);
  const before = await listAt(registry.host);
  assert.equal(before.manifests[0]?.['annotations'], { base: '10.0.17763.1' });
  await amend({ tags, children: [await imageFor('linux/amd64', place, 'oci')] }, place);
  assert.equal((await listAt(registry.host)).manifests.slice(0, 2), before.manifests);
});

test('does not choose between several images of one platform', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const image = await imageFor('linux/amd64', { registries, host: registry.host });
  const other = { ...image, descriptor: { ...image.descriptor, digest: `sha256:${'0'.repeat(64)}` } };
  assert.equal(withChildren([other], [image]), [image]);
  assert.throws(() => withChildren([other, other], [image]), /several images for linux\/amd64/);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { pushList, type ListToPush } from '../../../coordinator/manifest/push-list.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pullDocument, pushBlob, pushDocument, pushSample, digestOf } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

async function push(
  registries: Registries,
  list: Partial<ListToPush> & Pick<ListToPush, 'names' | 'sources'>,
): Promise<{ digest: string; warnings: string[] }> {
  const warnings: string[] = [];
  const { descriptor } = await pushList(
    { type: 'auto', ignoreMissing: false, force: false, ...list },
    registries,
    { signal, onWarning: (warning) => warnings.push(warning) },
  );
  return { digest: descriptor.digest, warnings };
}

const listSchema = v.object({
  manifests: v.array(
    v.object({
      digest: v.string(),
      platform: v.record(v.string(), v.unknown()),
      annotations: v.optional(v.record(v.string(), v.string())),
    }),
  ),
});
type Entry = v.InferOutput<typeof listSchema>['manifests'][number];

async function entriesOf(host: string, repository: string, tag = 'latest'): Promise<Entry[]> {
  const document = await pullDocument({ host, repository }, tag);
  return v.parse(listSchema, JSON.parse(String(document?.bytes))).manifests;
}

test('takes what the images say where nothing else is said, under every name', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763.1' };
  await pushSample({ host, repository: 'a' }, { platform: windows });
  await pushSample({ host, repository: 'b' }, { platform: arm64 });
  const sources = [
    { image: `${host}/a` },
    { image: `${host}/b`, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
  ];
  const { digest } = await push(registries, { names: [`${host}/list`, `${host}/list:1`], sources });
  for (const tag of ['latest', '1']) {
    const entries = await entriesOf(host, 'list', tag);
    assert.equal(
      entries.map(({ platform }) => platform),
      [
        { architecture: 'amd64', os: 'windows', 'os.version': '10.0.17763.1' },
        { architecture: 'arm', os: 'linux', variant: 'v7' },
      ],
    );
    assert.is((await pullDocument({ host, repository: 'list' }, tag))?.digest, digest);
  }
});

test('what sets images of one os and architecture apart comes from their configs', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  const platforms = [
    { os: 'linux', architecture: 'arm', variant: 'v6' },
    { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763.1' },
    { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1' },
  ];
  const sources = [];
  for (const [index, platform] of platforms.entries()) {
    await pushSample({ host, repository: `image-${index}` }, { platform });
    const { os, architecture } = platform;
    sources.push({ image: `${host}/image-${index}`, platform: { os, architecture } });
  }
  // Of another platform than its config says, nothing else of the config counts.
  sources.push({ image: `${host}/image-1`, platform: { os: 'linux', architecture: 'arm64' } });
  await push(registries, { names: [`${host}/list`], sources });
  const found = (await entriesOf(host, 'list')).map(({ platform }) => platform);
  assert.equal(found, [...platforms, { os: 'linux', architecture: 'arm64' }]);
});

test('with platforms given, two images cost thirteen requests, and one when nothing changed', async () => {
  await using registry = await startRegistry();
  const { host } = registry;
  await pushSample({ host, repository: 'a' }, { platform: amd64 });
  await pushSample({ host, repository: 'b' }, { platform: arm64 });
  const sources = [
    { image: `${host}/a`, platform: amd64 },
    { image: `${host}/b`, platform: arm64 },
  ];
  const before = (await registry.accessLog()).length;
  await using first = new Registries({ configDirectory: '/nonexistent' });
  await push(first, { names: [`${host}/list`], sources });
  const between = (await registry.accessLog()).length;
  assert.is(between - before, 13);
  await using second = new Registries({ configDirectory: '/nonexistent' });
  await push(second, { names: [`${host}/list`], sources });
  // Its two sources are tags, which may have moved.
  assert.is((await registry.accessLog()).length - between, 3);
});

test('a missing image is an error, or left out when that is asked for', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  await pushSample({ host, repository: 'a' }, { platform: amd64 });
  await pushSample({ host, repository: 'b' }, { platform: arm64 });
  const names = [`${host}/list`];
  const all = [{ image: `${host}/a` }, { image: `${host}/b`, platform: arm64 }];
  await push(registries, { names, sources: all });
  const gone = [{ image: `${host}/a` }, { image: `${host}/no`, platform: arm64 }];
  const error = await failureOf(push(registries, { names, sources: gone }));
  assert.is(error.code, 'not-found');
  assert.match(error.message, `no such manifest: ${host}/no:latest`);
  const { warnings } = await push(registries, { names, sources: gone, ignoreMissing: true });
  assert.equal(warnings, [`no such manifest: ${host}/no:latest: published without it`]);
  assert.is((await entriesOf(host, 'list')).length, 1);
  const none = await failureOf(push(registries, { names, sources: gone.slice(1), ignoreMissing: true }));
  assert.is(none.message, 'nothing to publish: none of its images exists');
});

test('a name does not lose a platform unless that is wanted', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  await pushSample({ host, repository: 'a' }, { platform: amd64 });
  await pushSample({ host, repository: 'b' }, { platform: arm64 });
  const names = [`${host}/list`];
  const sources = [{ image: `${host}/a` }, { image: `${host}/b` }];
  await push(registries, { names, sources });
  const error = await failureOf(push(registries, { names, sources: sources.slice(0, 1) }));
  assert.is(error.code, 'platform-loss');
  await push(registries, { names, sources: sources.slice(0, 1), force: true });
  assert.is((await entriesOf(host, 'list')).length, 1);
});

test('a list gives all its images with what is said about them, or the one that is named', async () => {
  await using registry = await startRegistry();
  await using target = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  const from = { host, repository: 'made' };
  const a = await pushSample(from, { platform: amd64, type: 'oci' });
  const b = await pushSample(from, { platform: arm64, type: 'oci' });
  const proof = await pushAttestation(from);
  const manifests = [
    { ...descriptor(a), platform: amd64, annotations: { 'org.example.kept': 'yes' } },
    { ...descriptor(b), platform: arm64 },
    {
      ...descriptor(proof),
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': b.digest,
      },
    },
  ];
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
  await pushDocument({ ...from, tag: 'all' }, { mediaType: ociIndex, bytes: index });

  const image = `${host}/made:all`;
  await push(registries, { names: [`${target.host}/copy`], sources: [{ image }] });
  const copied = await entriesOf(target.host, 'copy');
  assert.equal(
    copied.map(({ digest }) => digest),
    [a.digest, b.digest, proof.digest],
  );
  assert.equal(copied[0]?.annotations, { 'org.example.kept': 'yes' });
  assert.is(copied[2]?.annotations?.['vnd.docker.reference.digest'], b.digest);
  for (const { digest } of [a, b, proof])
    assert.ok(await pullDocument({ host: target.host, repository: 'copy' }, digest));

  const one = [{ image, platform: { os: 'linux', architecture: 'arm64' } }];
  await push(registries, { names: [`${host}/one`], sources: one, attestations: 'strip' });
  assert.equal(
    (await entriesOf(host, 'one')).map(({ digest }) => digest),
    [b.digest],
  );
  const other = [{ image, platform: { os: 'linux', architecture: 's390x' } }];
  const error = await failureOf(push(registries, { names: [`${host}/none`], sources: other }));
  assert.is(error.code, 'not-found');
  assert.match(error.hint ?? '', 'it offers linux/amd64, linux/arm64/v8');
});

test('images that make no sense in one list are refused, and odd mixtures mentioned', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  await pushSample({ host, repository: 'a' }, { platform: amd64 });
  await pushSample({ host, repository: 'twin' }, { platform: amd64 });
  await pushSample({ host, repository: 'oci' }, { platform: arm64, type: 'oci' });
  await pushSample({ host, repository: 'mute' }, { platform: { os: '', architecture: '' } });
  const refused = async (images: string[], more: Partial<ListToPush> = {}): Promise<string> => {
    const sources = images.map((image) => ({ image: `${host}/${image}` }));
    const { code, message } = await failureOf(
      push(registries, { names: [`${host}/list`], sources, ...more }),
    );
    return `${code}: ${message.replaceAll(host, 'HOST')}`;
  };
  assert.is(
    await refused(['a', 'twin']),
    'usage: HOST/a:latest and HOST/twin:latest are both for linux/amd64',
  );
  assert.is(await refused(['mute']), 'usage: HOST/mute:latest does not say for which platform it is');
  assert.is(
    await refused(['a', 'oci'], { type: 'docker' }),
    'usage: HOST/oci:latest is an OCI image, and a Docker manifest list holds none',
  );
  assert.is(
    await refused(['a'], { type: 'docker', annotations: { a: 'b' } }),
    'usage: a Docker manifest list takes no annotations',
  );
  const sources = ['a', 'oci', 'a'].map((image) => ({ image: `${host}/${image}` }));
  const { warnings } = await push(registries, { names: [`${host}/list`], sources });
  assert.match(warnings.join(), /a:latest is a Docker image and .*oci:latest an OCI one/);
  assert.is((await entriesOf(host, 'list')).length, 2);
});

interface Written {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

function descriptor({ mediaType, digest, bytes }: Written): object {
  return { mediaType, digest, size: bytes.length };
}

async function pushAttestation(target: { host: string; repository: string }): Promise<Written> {
  const blob = Buffer.from('{}');
  await pushBlob(target, blob);
  const of = (mediaType: string): object => ({ mediaType, digest: digestOf(blob), size: blob.length });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: of('application/vnd.oci.image.config.v1+json'),
      layers: [of('application/vnd.in-toto+json')],
    }),
  );
  const { digest } = await pushDocument({ ...target, tag: 'proof' }, { mediaType: ociManifest, bytes });
  return { mediaType: ociManifest, digest, bytes };
}

test.run();

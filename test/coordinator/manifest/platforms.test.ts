import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeReference } from '../../../coordinator/manifest/describe.ts';
import { formatOffered, imageFor, listPlatforms } from '../../../coordinator/manifest/platforms.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pullDocument, pushDocument, pushSample } from '../../support/sample-image.ts';
import { publishSample } from '../../support/sample-list.ts';

const { signal } = new AbortController();

test('lists the platforms of lists, by tag and digest, and of single images', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  await publishSample(registries, { host: registry.host, type: 'oci' });
  const list = await pullDocument({ host: registry.host, repository: 'app' }, 'latest');
  const platforms = async (name: string): Promise<string[]> => {
    const offered = await listPlatforms(`${registry.host}/${name}`, registries, signal);
    return offered.map(({ platform }) => platform);
  };
  assert.equal(await platforms(`app@${list?.digest}`), ['linux/amd64', 'linux/arm64/v8']);
  assert.equal(await platforms('app-arm64v8'), ['linux/arm64/v8']);
});

test('tells images of one platform apart by the version of their system', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const target = { host: registry.host, repository: 'windows' };
  const versions = ['10.0.17763.2114', '10.0.20348.169'];
  const mediaType = 'application/vnd.docker.distribution.manifest.list.v2+json';
  const manifests = [];
  for (const version of versions) {
    const platform = { os: 'windows', architecture: 'amd64', 'os.version': version };
    const image = await pushSample({ ...target, tag: version }, { platform });
    manifests.push({ mediaType: image.mediaType, size: image.bytes.length, digest: image.digest, platform });
  }
  await pushDocument(target, {
    mediaType,
    bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })),
  });
  const offered = async (tag: string): Promise<string[]> =>
    (await listPlatforms(`${registry.host}/windows:${tag}`, registries, signal)).map(formatOffered);
  assert.equal(
    await offered('latest'),
    versions.map((version) => `windows(${version})/amd64`),
  );
  assert.equal(await offered('10.0.20348.169'), ['windows(10.0.20348.169)/amd64']);
});

test('says which image a client of some platform gets, or that it gets none', () => {
  const offered = [
    { platform: 'linux/arm/v5', digest: 'sha256:5' },
    { platform: 'linux/arm/v7', digest: 'sha256:7' },
    { platform: 'linux/386', digest: 'sha256:3' },
  ];
  const digestFor = (platform: string): string =>
    imageFor(parsePlatform(platform), { offered, reference: 'host/app' }).digest;
  assert.is(digestFor('linux/arm/v7'), 'sha256:7');
  assert.is(digestFor('linux/arm/v6'), 'sha256:5');
  assert.is(digestFor('linux/arm64'), 'sha256:7');
  assert.is(digestFor('linux/amd64'), 'sha256:3');
  assert.throws(() => digestFor('linux/s390x'), /host\/app has no image for linux\/s390x/);
});

test('describes a list for people, image by image', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  await publishSample(registries, { host: registry.host, type: 'docker' });
  const lines = await describeReference(`${registry.host}/app`, registries, signal);
  const text = lines
    .join('\n')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'DIGEST')
    .replaceAll(/\d+$/gm, 'N');
  assert.is(
    text,
    `Name:   ${registry.host}/app:latest (Type: application/vnd.docker.distribution.manifest.list.v2+json)
Digest: DIGEST
 * Contains 2 manifest references (2 images, 0 attestation):
[1]     Type: application/vnd.docker.distribution.manifest.v2+json
[1]   Digest: DIGEST
[1]   Length: N
[1] Platform:
[1]    -      OS: linux
[1]    -    Arch: amdN
[1] # Layers: N
     layer 01: digest = DIGEST
                 type = application/vnd.docker.image.rootfs.diff.tar.gzip
     layer 02: digest = DIGEST
                 type = application/vnd.docker.image.rootfs.diff.tar.gzip

[2]     Type: application/vnd.docker.distribution.manifest.v2+json
[2]   Digest: DIGEST
[2]   Length: N
[2] Platform:
[2]    -      OS: linux
[2]    -    Arch: armN
[2]    - Variant: vN
[2] # Layers: N
     layer 01: digest = DIGEST
                 type = application/vnd.docker.image.rootfs.diff.tar.gzip
     layer 02: digest = DIGEST
                 type = application/vnd.docker.image.rootfs.diff.tar.gzip`,
  );
  const image = await describeReference(`${registry.host}/app-arm64v8`, registries, signal);
  assert.match(image[0] ?? '', /^Name: .*\/app-arm64v8:latest \(Type: /);
  assert.ok(image.some((line) => line.trim() === 'Variant: v8'));
  const error = await failureOf(describeReference(`${registry.host}/app:no`, registries, signal));
  assert.is(error.code, 'not-found');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import type { PushedImage } from '../../../shared/task.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pushDocument, pushSample, type SampleImage, type SampleTarget } from '../../support/sample-image.ts';

const arm64 = { platform: { os: 'linux', architecture: 'arm64' } };
const amd64 = { platform: { os: 'linux', architecture: 'amd64' } };
const indexType = 'application/vnd.oci.image.index.v1+json';

async function verify(
  { host, repository }: SampleTarget,
  reported: PushedImage,
  platform: string,
): Promise<VerifiedImage> {
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const reference = parseReference(`${host}/${repository}:latest`);
  const { signal } = new AbortController();
  return await verifyImage({ reported, reference, platform: parsePlatform(platform) }, registries, signal);
}

function entry(image: SampleImage, more: Record<string, unknown>): unknown {
  return { mediaType: image.mediaType, digest: image.digest, size: image.bytes.length, ...more };
}

/** Pushes an index of these entries, and gives what an engine with the containerd image store would report. */
async function pushIndex(target: SampleTarget, manifests: unknown[]): Promise<PushedImage> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
  const { digest } = await pushDocument(target, { mediaType: indexType, bytes });
  return { imageId: digest, digest, size: bytes.length, timings: {}, sentBytes: 0 };
}

test('an image that is what it was said to be is described for the list, with the variant of arm64', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a-arm64v8' };
  const image = await pushSample(target, { platform: { ...arm64.platform, 'os.version': '1.2' } });
  const verified = await verify(target, image.reported, 'linux/arm64');
  assert.is(verified.repository, `${registry.host}/a-arm64v8`);
  assert.equal(verified.platform, { os: 'linux', architecture: 'arm64', variant: 'v8', osVersion: '1.2' });
  const { mediaType, digest, bytes } = image;
  assert.equal(verified.descriptor, { mediaType, digest, size: bytes.length });
  assert.is(verified.blobs.length, 3);
  assert.is(verified.blobs[0]?.digest, image.config);
});

test('another architecture or variant than the one asked for is an error that names all three', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a' };
  const image = await pushSample(target, amd64);
  const error = await failureOf(verify(target, image.reported, 'linux/arm64'));
  assert.is(error.code, 'wrong-architecture');
  assert.match(error.message, `${registry.host}/a:latest was asked for as linux/arm64/v8 and is linux/amd64`);
  const v6 = await pushSample(target, { platform: { os: 'linux', architecture: 'arm', variant: 'v6' } });
  assert.is((await failureOf(verify(target, v6.reported, 'linux/arm/v7'))).code, 'wrong-architecture');
  assert.is((await verify(target, v6.reported, 'linux/arm/v6')).platform.variant, 'v6');
  const unsaid = await pushSample(target, { platform: { os: 'linux', architecture: 'arm' } });
  assert.is((await verify(target, unsaid.reported, 'linux/arm/v6')).platform.variant, 'v6');
});

test('what is not the image built, not of its size, or not there at all is a failure of the infrastructure', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a' };
  const image = await pushSample(target, amd64);
  const other = `sha256:${'0'.repeat(64)}`;
  for (const change of [{ imageId: other }, { size: 1 }, { digest: other }]) {
    const error = await failureOf(verify(target, { ...image.reported, ...change }, 'linux/amd64'));
    assert.is(error.exitStatus, 3);
    assert.match(error.message, `${registry.host}/a@sha256:`);
  }
});

test('the image of the platform is taken out of a pushed index, without its attestation', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a' };
  const image = await pushSample(target, { ...arm64, type: 'oci' });
  const provenance = await pushSample(target, {
    platform: { os: 'unknown', architecture: 'unknown' },
    type: 'oci',
  });
  const annotations = { 'vnd.docker.reference.type': 'attestation-manifest' };
  const unknown = { architecture: 'unknown', os: 'unknown' };
  const reported = await pushIndex(target, [
    entry(image, { platform: { architecture: 'arm64', os: 'linux' } }),
    entry(provenance, { annotations, platform: unknown }),
  ]);
  const verified = await verify(target, reported, 'linux/arm64/v8');
  assert.is(verified.descriptor.digest, image.digest);
  assert.is((await failureOf(verify(target, reported, 'linux/amd64'))).code, 'wrong-architecture');
});

test('an index with several images must hold exactly one of the platform', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a' };
  const one = entry(await pushSample(target, arm64), {
    platform: { architecture: 'arm64', os: 'linux', variant: 'v8' },
  });
  const image = await pushSample(target, amd64);
  const two = entry(image, { platform: amd64.platform });
  const reported = await pushIndex(target, [one, two]);
  assert.is((await verify(target, reported, 'linux/amd64')).descriptor.digest, image.digest);
  const missing = await failureOf(verify(target, reported, 'linux/s390x'));
  assert.match(missing.message, 'linux/s390x and is linux/arm64/v8, linux/amd64');
  const twice = await pushIndex(target, [one, one]);
  assert.match((await failureOf(verify(target, twice, 'linux/arm64'))).message, 'holds 2 images');
});

test('a config that its engine has told of is not fetched, but believed only with its digest', async () => {
  await using registry = await startRegistry();
  const target = { host: registry.host, repository: 'a' };
  const image = await pushSample(target, amd64);
  const config = { os: 'linux', architecture: 'amd64', osVersion: '2' };
  const verified = await verify(target, { ...image.reported, config }, 'linux/amd64');
  assert.equal(verified.platform, { os: 'linux', architecture: 'amd64', osVersion: '2' });
  const asked = await registry.accessLog();
  assert.not(asked.some((line) => line.includes(`GET /v2/a/blobs/${image.config}`)));
  // An image named by its manifest says nothing of which config the engine looked at.
  const named = { ...image.reported, imageId: image.digest, config: { os: 'linux', architecture: 'arm64' } };
  assert.is((await verify(target, named, 'linux/amd64')).platform.architecture, 'amd64');
  const wrong = { ...image.reported, config: { os: 'linux', architecture: 's390x' } };
  assert.is((await failureOf(verify(target, wrong, 'linux/amd64'))).code, 'wrong-architecture');
});

test.run();

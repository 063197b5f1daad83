/** Indexes with provenance, as newer engines push them, against Debian's docker-registry. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';
import type { Publication } from '../../../coordinator/manifest/publication.ts';
import { publish } from '../../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import type { AttestationMode } from '../../../coordinator/project/annotations.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { ociIndexType, provenImage, pushProven, type ProvenImage } from '../../support/provenance.ts';
import { digestOf, pullDocument, pushSample } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const listSchema = v.object({
  mediaType: v.string(),
  manifests: v.array(
    v.strictObject({
      mediaType: v.string(),
      digest: v.string(),
      size: v.number(),
      annotations: v.optional(v.record(v.string(), v.string())),
      platform: v.object({ os: v.string(), architecture: v.string() }),
    }),
  ),
});

function open(): Registries {
  return new Registries({ configDirectory: '/nonexistent' });
}

function verify(
  registries: Registries,
  { reported }: Pick<ProvenImage, 'reported'>,
  { host, attestations }: { host: string; attestations?: AttestationMode },
): Promise<VerifiedImage> {
  const reference = parseReference(`${host}/app-amd64:latest`);
  const platform = parsePlatform('linux/amd64');
  return verifyImage({ reported, reference, platform, attestations }, registries, signal);
}

async function listOf(registries: Registries, publication: Publication, host: string) {
  await publish(publication, registries, { signal, onEvent: () => {} });
  const list = await pullDocument({ host, repository: 'app' }, 'latest');
  return v.parse(listSchema, JSON.parse(String(list?.bytes)));
}

test('provenance travels with its image, manifest and contents, behind the images of an OCI index', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const proven = provenImage({ os: 'linux', architecture: 'amd64' });
  await pushProven({ host, repository: 'app-amd64' }, proven);
  const arm64 = parsePlatform('linux/arm64');
  const plain = await pushSample({ host, repository: 'app-arm64v8' }, { platform: arm64 });
  const reference = parseReference(`${host}/app-arm64v8:latest`);
  const children = [
    await verify(registries, proven, { host }),
    await verifyImage({ reported: plain.reported, reference, platform: arm64 }, registries, signal),
  ];
  const list = await listOf(registries, { children, tags: [`${host}/app:latest`] }, host);
  assert.is(list.mediaType, ociIndexType);
  assert.equal(
    list.manifests.map(({ digest }) => digest),
    [proven.image.digest, plain.digest, proven.attestation.digest],
  );
  assert.equal(list.manifests[2]?.platform, { os: 'unknown', architecture: 'unknown' });
  assert.equal(list.manifests[2]?.annotations, {
    'vnd.docker.reference.digest': proven.image.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  });
  const target = { host, repository: 'app' };
  assert.is((await pullDocument(target, proven.attestation.digest))?.digest, proven.attestation.digest);
  for (const content of proven.attestation.contents) {
    assert.is((await fetch(`http://${host}/v2/app/blobs/${digestOf(content)}`)).status, 200);
  }
  // The next build has no provenance: nothing is lost by that.
  const next = await listOf(
    registries,
    { children: children.slice(1), force: true, tags: [`${host}/app:latest`] },
    host,
  );
  assert.is(next.manifests.length, 1);
});

test('provenance is left out with strip, and refused with error', async () => {
  await using registry = await startRegistry();
  await using registries = open();
  const { host } = registry;
  const proven = provenImage({ os: 'linux', architecture: 'amd64' });
  await pushProven({ host, repository: 'app-amd64' }, proven);
  const stripped = await verify(registries, proven, { host, attestations: 'strip' });
  assert.is(stripped.attestations, undefined);
  const list = await listOf(registries, { children: [stripped], tags: [`${host}/app:latest`] }, host);
  assert.equal(
    list.manifests.map(({ digest }) => digest),
    [proven.image.digest],
  );
  const error = await failureOf(verify(registries, proven, { host, attestations: 'error' }));
  assert.is(error.code, 'attestation-refused');
  assert.is(error.exitStatus, 2);
  assert.match(error.message, `${host}/app-amd64@${proven.image.digest}`);
});

test.run();

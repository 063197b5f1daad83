/** Manifests and lists of a repository: looked up, read and written, by tag or digest. */
import { isDigest } from '../../shared/reference.ts';
import { mediaTypeOf, type Manifest } from '../manifest/document.ts';
import { acceptedManifests } from '../manifest/media-types.ts';
import { digestOf } from './digest.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';
import type { Scope } from './scope.ts';

/** Bytes; the limit of registries themselves. */
const maxManifest = 4 * 1024 * 1024;
const digestHeader = 'docker-content-digest';

/**
 * The exact bytes, checked against the digest when they were asked for by one. Undefined when there is none. `scope` is
 * the right to use for it.
 */
export async function getManifest(
  repository: Repository,
  reference: string,
  signal: AbortSignal,
  scope: Scope = repository.pullScope,
): Promise<Manifest | undefined> {
  const reply = await repository.client.call(
    {
      method: 'GET',
      url: repository.path(`manifests/${reference}`),
      scopes: [scope],
      headers: { accept: acceptedManifests },
      expected: [200, 404],
    },
    { signal, limit: maxManifest },
  );
  if (reply.status === 404) return undefined;
  const { bytes } = reply;
  const name = repository.reference(reference);
  const digest = digestOf(bytes);
  if (reference.startsWith('sha512:') && digestOf(bytes, 'sha512') !== reference) {
    throw new RegistryError('registry-error', `${name}: the registry gave other content`);
  }
  const expected = isDigest(reference) ? reference : (reply.header(digestHeader) ?? digest);
  // Another algorithm cannot be compared, and does not come from an image of ours.
  if (isDigest(expected) && expected !== digest) {
    throw new RegistryError('registry-error', `${name}: the registry gave other content, ${digest}`);
  }
  const header = reply.header('content-type') ?? '';
  return { mediaType: mediaTypeOf(bytes, { header, name }), digest, bytes };
}

/** The digest that a tag stands for now, or undefined when there is no such tag. `scope` is the right to use for it. */
export async function findDigest(
  repository: Repository,
  reference: string,
  { scope, signal }: { scope: Scope; signal: AbortSignal },
): Promise<string | undefined> {
  const reply = await repository.client.call(
    {
      method: 'HEAD',
      url: repository.path(`manifests/${reference}`),
      scopes: [scope],
      headers: { accept: acceptedManifests },
      expected: [200, 404],
    },
    { signal },
  );
  if (reply.status === 404) return undefined;
  const digest = reply.header(digestHeader);
  // Not every registry says it without the content, or in the algorithm that we compare by.
  if (digest !== undefined && isDigest(digest)) return digest;
  return (await getManifest(repository, reference, signal, scope))?.digest;
}

/** Writes exactly these bytes under a tag or under their own digest. */
export async function putManifest(
  repository: Repository,
  manifest: Manifest,
  { reference, signal }: { reference: string; signal: AbortSignal },
): Promise<void> {
  const reply = await repository.client.call(
    {
      method: 'PUT',
      url: repository.path(`manifests/${reference}`),
      scopes: [repository.pushScope],
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
      expected: [200, 201, 202],
    },
    { signal },
  );
  const digest = reply.header(digestHeader);
  if (digest !== undefined && isDigest(digest) && digest !== manifest.digest) {
    throw new RegistryError(
      'registry-error',
      `${repository.reference(reference)}: the registry stored ${digest}, not ${manifest.digest} as it was sent`,
    );
  }
}

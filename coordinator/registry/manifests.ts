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
/** What those answer to HEAD who do not know it; whatever is amiss otherwise, a request of another kind will say. */
export const withoutHead: readonly number[] = [400, 405, 501];

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
  const content = await getContent(repository, reference, { scope, signal });
  return content === undefined ? undefined : toManifest(content, repository.reference(reference));
}

/**
 * As `getManifest`, but of whatever is there: what is of no use, a schema 1 manifest or one that its registry calls something
 * else, has the type that the registry gave it, so that it can be put back.
 */
export async function getAnyManifest(
  repository: Repository,
  reference: string,
  { scope, signal }: { scope: Scope; signal: AbortSignal },
): Promise<Manifest | undefined> {
  const content = await getContent(repository, reference, { scope, signal });
  if (content === undefined) return undefined;
  try {
    return toManifest(content, repository.reference(reference));
  } catch (error) {
    // Who names no digest of it may be no registry: its page says nothing about what is there.
    if (!content.isNamed) throw error;
    return { mediaType: content.type, digest: content.digest, bytes: content.bytes };
  }
}

interface Content {
  /** As the registry gives it, with its parameters. */
  readonly type: string;
  readonly digest: string;
  readonly bytes: Buffer;
  /** Whether the registry told the same digest. */
  readonly isNamed: boolean;
}

function toManifest({ type, digest, bytes }: Content, name: string): Manifest {
  return { mediaType: mediaTypeOf(bytes, { header: type, name }), digest, bytes };
}

async function getContent(
  repository: Repository,
  reference: string,
  { scope, signal }: { scope: Scope; signal: AbortSignal },
): Promise<Content | undefined> {
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
  const told = reply.header(digestHeader);
  const expected = isDigest(reference) ? reference : (told ?? digest);
  // Another algorithm cannot be compared, and does not come from an image of ours.
  if (isDigest(expected) && expected !== digest) {
    throw new RegistryError('registry-error', `${name}: the registry gave other content, ${digest}`);
  }
  return { type: reply.header('content-type') ?? '', digest, bytes, isNamed: told === digest };
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
      expected: [200, 404, ...withoutHead],
    },
    { signal },
  );
  if (reply.status === 404) return undefined;
  const digest = reply.status === 200 ? reply.header(digestHeader) : undefined;
  // Not every registry says it without the content, or in the algorithm that we compare by.
  if (digest !== undefined && isDigest(digest)) return digest;
  return (await getAnyManifest(repository, reference, { scope, signal }))?.digest;
}

/** Writes exactly these bytes under a tag or under their own digest; the error names others that are `stored` instead. */
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
      { stored: digest },
    );
  }
}

/** Configs and layers of a repository: read when small, brought from another repository by mount or by copy. */
import type { Descriptor } from '../../shared/progress.ts';
import { reasonOf } from '../../shared/abort.ts';
import type { RegistryRequest } from './client.ts';
import { digestOf } from './digest.ts';
import { RegistryError } from './registry-error.ts';
import type { Limiter } from '../limiter.ts';
import type { Repository } from './repository.ts';
import { withRetries } from './retry.ts';

export interface Transfer {
  readonly from: Repository;
  readonly to: Repository;
  readonly blob: Descriptor;
  /** Shared by all copies of a process. */
  readonly copies: Limiter;
}

/** Checked against its digest and size; throws when it is larger than `limit` bytes. */
export async function readBlob(
  repository: Repository,
  blob: Descriptor,
  { limit, signal }: { limit: number; signal: AbortSignal },
): Promise<Buffer> {
  const name = repository.reference(blob.digest);
  if (blob.size > limit) {
    throw new RegistryError(
      'registry-error',
      `${name} has ${blob.size} bytes, more than the ${limit} allowed`,
    );
  }
  const { bytes } = await repository.client.call(blobRequest(repository, blob), { signal, limit: blob.size });
  if (bytes.length !== blob.size || digestOf(bytes) !== blob.digest) {
    throw new RegistryError('registry-error', `${name}: the registry gave other content`);
  }
  return bytes;
}

/** Makes a blob of one repository part of another, in the cheapest way that the registries allow. */
export async function bringBlob(
  transfer: Transfer,
  signal: AbortSignal,
): Promise<'mounted' | 'present' | 'copied'> {
  const { from, to, blob, copies } = transfer;
  const mount = from.client === to.client ? await tryMount(transfer, signal) : 'refused';
  if (mount === 'mounted') return mount;
  const upload = mount === 'refused' ? undefined : mount;
  if (await hasBlob(to, blob, signal)) {
    if (upload !== undefined) await giveUp(to, upload, signal);
    return 'present';
  }
  await copies.run(() => copyBlob(transfer, { upload, signal }), signal);
  return 'copied';
}

/** A registry that does not mount may open an upload instead; its address is given back then. */
async function tryMount(
  { from, to, blob }: Transfer,
  signal: AbortSignal,
): Promise<'mounted' | 'refused' | URL> {
  const query = new URLSearchParams({ mount: blob.digest, from: from.name });
  try {
    const reply = await to.client.call(
      {
        method: 'POST',
        url: to.path(`blobs/uploads/?${query.toString()}`),
        scopes: [to.pushScope, from.pullScope],
        expected: [201, 202],
      },
      { signal },
    );
    const location = reply.header('location');
    if (reply.status === 201) return 'mounted';
    return location === undefined ? 'refused' : to.client.resolve(location, reply.url);
  } catch (error) {
    // Registries refuse in many ways: no right to pull the source, a source they do not know, no mounts at all.
    if (error instanceof RegistryError && error.status !== undefined) return 'refused';
    throw error;
  }
}

async function hasBlob(repository: Repository, blob: Descriptor, signal: AbortSignal): Promise<boolean> {
  const request = blobRequest(repository, blob);
  const reply = await repository.client.call(
    { ...request, method: 'HEAD', expected: [200, 404] },
    { signal },
  );
  return reply.status === 200;
}

/** Starts over when it breaks: what an interrupted upload holds differs from registry to registry. */
async function copyBlob(
  { from, to, blob }: Transfer,
  { upload, signal }: { upload: URL | undefined; signal: AbortSignal },
): Promise<void> {
  let opened = upload;
  await withRetries(
    async () => {
      const target = opened ?? (await startUpload(to, signal));
      opened = undefined;
      const source = await from.client.open(blobRequest(from, blob), signal);
      const stream = source.stream();
      try {
        const answer = await to.client.open(
          {
            method: 'PUT',
            url: withDigest(target, blob.digest),
            scopes: [to.pushScope],
            headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
            body: stream,
            expected: [200, 201, 204],
          },
          signal,
        );
        await answer.discard();
      } finally {
        stream.destroy();
      }
    },
    { timing: to.client.timing, signal },
  );
}

async function startUpload(repository: Repository, signal: AbortSignal): Promise<URL> {
  const answer = await repository.client.open(
    {
      method: 'POST',
      url: repository.path('blobs/uploads/'),
      scopes: [repository.pushScope],
      expected: [202],
    },
    signal,
  );
  await answer.discard();
  const location = answer.header('location');
  if (location !== undefined) return repository.client.resolve(location, answer.url);
  throw new RegistryError(
    'registry-error',
    `${repository.fullName}: the registry opened an upload without a Location`,
  );
}

/** Best effort: registries clear abandoned uploads by themselves, only later. */
async function giveUp(repository: Repository, upload: URL, signal: AbortSignal): Promise<void> {
  const { client, pushScope } = repository;
  try {
    const answer = await client.open(
      { method: 'DELETE', url: upload, scopes: [pushScope], expected: [204] },
      signal,
    );
    await answer.discard();
  } catch {
    if (signal.aborted) throw reasonOf(signal);
  }
}

function blobRequest(repository: Repository, blob: Descriptor): RegistryRequest {
  return {
    method: 'GET',
    url: repository.path(`blobs/${blob.digest}`),
    scopes: [repository.pullScope],
    expected: [200],
  };
}

/** By hand: URLSearchParams would write the registry's own state anew, in another spelling. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  url.search += `${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
  return url;
}

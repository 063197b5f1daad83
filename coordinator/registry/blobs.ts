/** Configs and layers of a repository: read when small, brought from another repository by mount or by copy. */
import type { Descriptor } from '../../shared/progress.ts';
import type { Limiter } from '../limiter.ts';
import { blobRequest } from './blob-source.ts';
import { copyInChunks } from './chunked-copy.ts';
import { withinDeadline } from './deadline.ts';
import { digestOf } from './digest.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';
import { withRetries } from './retry.ts';
import { giveUp, startUpload, uploadIn, withDigest, type Upload } from './uploads.ts';

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
  const { from, to, blob } = transfer;
  const mount = from.client === to.client ? await tryMount(transfer, signal) : 'refused';
  if (mount === 'mounted') return mount;
  const upload = mount === 'refused' ? undefined : mount;
  if (await hasBlob(to, blob, signal)) {
    if (upload !== undefined) await giveUp(to, upload, signal);
    return 'present';
  }
  await copyBlob(transfer, { upload, signal });
  return 'copied';
}

/** Mounts are cheap to do without, so a registry in trouble is not begged for one. */
const mountTries = 2;

/** A registry that does not mount may open an upload instead; it is used or given back then. */
async function tryMount(
  { from, to, blob }: Transfer,
  signal: AbortSignal,
): Promise<'mounted' | 'refused' | Upload> {
  const { capabilities } = to.client;
  if (!capabilities.mayMount(from.name, to.name)) return 'refused';
  const query = new URLSearchParams({ mount: blob.digest, from: from.name });
  try {
    const reply = await to.client.call(
      {
        method: 'POST',
        url: to.path(`blobs/uploads/?${query.toString()}`),
        scopes: [to.pushScope, from.pullScope],
        expected: [201, 202],
      },
      { signal, tries: Math.min(mountTries, to.client.timing.tries) },
    );
    if (reply.status === 201) {
      capabilities.mounted();
      return 'mounted';
    }
    capabilities.mountRefused(from.name, to.name, true);
    return uploadIn(to, reply) ?? 'refused';
  } catch (error) {
    // Registries refuse in many ways: no right to pull the source, a source they do not know, no mounts at all.
    if (error instanceof RegistryError && error.status !== undefined) {
      const { status, temporary } = error;
      if (!temporary) capabilities.mountRefused(from.name, to.name, status === 405);
      return 'refused';
    }
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

/** Blobs that are worth going on with instead of beginning anew, in bytes. */
const worthResuming = 32 * 1024 * 1024;

/** Streamed from one repository to the other, whatever the other says that it has. */
export function copyBlob(
  { from, to, blob, copies }: Transfer,
  { upload, signal }: { upload?: Upload | undefined; signal: AbortSignal },
): Promise<void> {
  const { client } = to;
  const { timing, capabilities } = client;
  let opened = upload;
  let tries = 0;
  const attempt = async (signal: AbortSignal): Promise<void> => {
    // The answer of the try before may be all that got lost.
    if (tries++ > 0 && (await hasBlob(to, blob, signal))) return;
    const target = opened ?? (await startUpload(to, { signal, tries: 1 }));
    opened = undefined;
    const resumable = tries > 1 && blob.size >= worthResuming;
    if (capabilities.takesChunks && (resumable || blob.size > capabilities.bodyLimit)) {
      return copyInChunks({ from, to, blob }, { upload: target, signal });
    }
    try {
      await copyWhole({ from, to, blob }, { upload: target, signal });
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 413) throw error;
      await giveUp(to, target, signal);
      if (!capabilities.takesChunks || !capabilities.tooLarge(blob.size)) throw error;
      throw error.passing();
    }
  };
  const asked = { method: 'PUT', url: new URL(to.path('blobs/uploads/'), client.endpoint.origin) };
  const milliseconds = timing.answer + Math.ceil(blob.size / timing.slowest);
  return copies.run(
    () =>
      withRetries(
        () =>
          withinDeadline(attempt, { milliseconds, signal, asked: { ...asked, endpoint: client.endpoint } }),
        { timing, signal, onRetry: client.onRetry },
      ),
    signal,
  );
}

async function copyWhole(
  { from, to, blob }: Omit<Transfer, 'copies'>,
  { upload, signal }: { upload: Upload; signal: AbortSignal },
): Promise<void> {
  const source = await from.client.open(blobRequest(from, blob), signal);
  const stream = source.stream();
  try {
    const answer = await to.client.open(
      {
        method: 'PUT',
        url: withDigest(upload, blob.digest),
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
}

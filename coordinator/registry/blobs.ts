/** Configs and layers of a repository: read when small, brought from another repository by mount or by copy. */
import type { Descriptor } from '../../shared/progress.ts';
import { blobRequest } from './blob-source.ts';
import { copyInChunks } from './chunked-copy.ts';
import { redirects, type Reply } from './client.ts';
import { withinDeadline } from './deadline.ts';
import { digestOf } from './digest.ts';
import { withoutHead } from './manifests.ts';
import { deepestCode, networkFailure, RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';
import { withRetries } from './retry.ts';
import { giveUp, startUpload, uploadIn, withDigest, type Upload } from './uploads.ts';

export interface Transfer {
  readonly from: Repository;
  readonly to: Repository;
  readonly blob: Descriptor;
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
    return offeredUpload(to, reply);
  } catch (error) {
    // Registries refuse in many ways: no right to pull the source, a source they do not know, no mounts at all.
    if (!(error instanceof RegistryError)) throw error;
    const { status, temporary } = error;
    if (status === undefined && !temporary) throw error;
    if (!temporary) capabilities.mountRefused(from.name, to.name, status === 405);
    return 'refused';
  }
}

/** Whoever does not mount need offer no upload, and not all that is offered is an address. */
function offeredUpload(repository: Repository, reply: Reply): Upload | 'refused' {
  try {
    return uploadIn(repository, reply) ?? 'refused';
  } catch {
    return 'refused';
  }
}

/** What an answer sends elsewhere is there: the storage, which may have its address signed for GET alone, is not asked. */
async function hasBlob(repository: Repository, blob: Descriptor, signal: AbortSignal): Promise<boolean> {
  const request = blobRequest(repository, blob);
  const reply = await repository.client.call(
    { ...request, method: 'HEAD', staysHome: true, expected: [200, ...redirects, 404, ...withoutHead] },
    { signal },
  );
  // Where it cannot be asked, it is copied once more at worst.
  return reply.status !== 404 && !withoutHead.includes(reply.status);
}

/** Blobs that are worth going on with instead of beginning anew, in bytes. */
const worthResuming = 32 * 1024 * 1024;

/** Streamed from one repository to the other, whatever the other says that it has. */
export function copyBlob(
  { from, to, blob }: Transfer,
  { upload, signal }: { upload?: Upload | undefined; signal: AbortSignal },
): Promise<void> {
  const { client } = to;
  const { timing, capabilities } = client;
  let opened = upload;
  let tries = 0;
  const attempt = async (signal: AbortSignal): Promise<void> => {
    // The answer of the try before may be all that got lost.
    if (tries++ > 0 && (await hasBlob(to, blob, signal))) return;
    const offered = opened;
    opened = undefined;
    if (offered !== undefined) return send(offered, signal).catch(askForAnother);
    return send(await startUpload(to, { signal, tries: 1 }), signal);
  };
  const send = async (target: Upload, signal: AbortSignal): Promise<void> => {
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
  return inTurn({ from, to }, signal, () =>
    withRetries(
      () => withinDeadline(attempt, { milliseconds, signal, asked: { ...asked, endpoint: client.endpoint } }),
      { timing, signal, onRetry: client.onRetry },
    ),
  );
}

/** What came with a refused mount may be at no place that can be used: the next upload is one that was asked for. */
function askForAnother(error: unknown): never {
  if (!(error instanceof RegistryError)) throw error;
  throw error.status === undefined || error.status === 404 ? error.passing() : error;
}

/** Of each host so many at once; in the order of their names, as two that wait for each other would wait for ever. */
function inTurn(
  { from, to }: Pick<Transfer, 'from' | 'to'>,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const clients = [...new Set([from.client, to.client])].toSorted((a, b) =>
    a.endpoint.host < b.endpoint.host ? -1 : 1,
  );
  const [first, second] = clients;
  const inner = second === undefined ? work : (): Promise<void> => second.copies.run(work, signal);
  return first === undefined ? inner() : first.copies.run(inner, signal);
}

async function copyWhole(
  { from, to, blob }: Transfer,
  { upload, signal }: { upload: Upload; signal: AbortSignal },
): Promise<void> {
  const source = await from.client.open(blobRequest(from, blob), signal);
  const stream = source.stream();
  let broken: unknown;
  stream.once('error', (error) => (broken = error));
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
  } catch (error) {
    signal.throwIfAborted();
    // Whoever takes it can only say that it was not what was announced.
    const asked = { method: 'GET', url: source.url, endpoint: from.client.endpoint };
    if (broken !== undefined) throw networkFailure(asked, broken);
    if (deepestCode(error) === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')
      throw networkFailure(asked, new Error(`the blob is not of its ${blob.size} bytes`));
    throw error;
  } finally {
    stream.destroy();
  }
}

/**
 * A copy in several requests, for registries (and proxies before them) that take no large one, and for blobs whose copy
 * broke: it goes on where the registry says that it is.
 */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import type { Descriptor } from '../../shared/progress.ts';
import { BlobSource } from './blob-source.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';
import { receivedIn, uploadIn, uploadStatus, withDigest, type Upload } from './uploads.ts';

export interface Copy {
  readonly from: Repository;
  readonly to: Repository;
  readonly blob: Descriptor;
}

interface Progress {
  readonly upload: Upload;
  readonly received: number;
}

/** Holds one chunk in memory. A failure that may pass means that the copy must begin anew. */
export async function copyInChunks(
  { from, to, blob }: Copy,
  { upload, signal }: { upload: Upload; signal: AbortSignal },
): Promise<void> {
  const { timing, capabilities } = to.client;
  using source = new BlobSource(from, blob, signal);
  const backoff = new Backoff({ first: timing.firstPause, max: timing.maxPause });
  let progress: Progress = { upload, received: 0 };
  for (let failures = 0; progress.received < blob.size;) {
    const { received } = progress;
    try {
      const size = Math.max(progress.upload.minChunk, capabilities.chunkSize);
      const chunk = await source.read(received, Math.min(size, blob.size - received));
      progress = await sendChunk(to, { progress, chunk, signal });
      if (progress.received <= received) throw lost(to, 'it takes nothing more');
      failures = 0;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      if (!capabilities.takesChunks) throw error.passing();
      const smaller = error.status === 413;
      if (!smaller && !error.temporary && error.status !== 416) throw error;
      if (!smaller && ++failures >= timing.tries) throw error;
      const asked = Math.min(error.retryAfter ?? 0, timing.maxRetryAfter);
      await delay(smaller ? 0 : Math.max(asked, backoff.next()), signal);
      progress = await askStatus(to, progress, signal);
      if (progress.received > received) failures = 0;
    }
  }
  await close(to, { upload: progress.upload, blob, signal });
}

async function sendChunk(
  to: Repository,
  { progress, chunk, signal }: { progress: Progress; chunk: Buffer; signal: AbortSignal },
): Promise<Progress> {
  const { upload, received } = progress;
  const { capabilities } = to.client;
  try {
    const reply = await to.client.call(
      {
        method: 'PATCH',
        url: upload.url,
        scopes: [to.pushScope],
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `${received}-${received + chunk.length - 1}`,
        },
        body: chunk,
        expected: [200, 201, 202, 204],
      },
      // A second try would begin where the first one may have ended: who asks for the status knows.
      { signal, tries: 1 },
    );
    return {
      upload: { url: uploadIn(to, reply)?.url ?? upload.url, minChunk: upload.minChunk },
      received: within(to, receivedIn(reply) ?? received + chunk.length, received + chunk.length),
    };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const { status } = error;
    if (status === 413 && (chunk.length <= upload.minChunk || !capabilities.tooLarge(chunk.length))) {
      throw lost(to, 'it takes no chunk of a useful size', error);
    }
    if (received === 0 && [400, 405, 501].includes(status ?? 0)) capabilities.chunksRefused();
    throw error;
  }
}

async function askStatus(to: Repository, progress: Progress, signal: AbortSignal): Promise<Progress> {
  try {
    const now = await uploadStatus(to, progress.upload, signal);
    return { ...now, received: within(to, now.received, Infinity) };
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) throw error.passing();
    throw error;
  }
}

async function close(
  to: Repository,
  { upload, blob, signal }: { upload: Upload; blob: Descriptor; signal: AbortSignal },
): Promise<void> {
  try {
    await to.client.call(
      {
        method: 'PUT',
        url: withDigest(upload, blob.digest),
        scopes: [to.pushScope],
        headers: { 'content-type': 'application/octet-stream' },
        body: Buffer.alloc(0),
        expected: [200, 201, 204],
      },
      { signal },
    );
  } catch (error) {
    // An answer that got lost may have closed it: the next try looks first whether the blob is there.
    if (error instanceof RegistryError && (error.status === 404 || error.status === 416))
      throw error.passing();
    throw error;
  }
}

function within(to: Repository, received: number, limit: number): number {
  if (received <= limit) return received;
  throw lost(to, 'it claims more than was sent');
}

function lost(to: Repository, why: string, cause?: unknown): RegistryError {
  return new RegistryError('registry-error', `an upload to ${to.fullName} cannot go on: ${why}`, { cause });
}

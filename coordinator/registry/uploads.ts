/** Uploads of blobs: opened, asked how far they are, closed with a digest, given up. */
import { reasonOf } from '../../shared/abort.ts';
import type { Answer } from './transport.ts';
import type { Reply } from './client.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';

export interface Upload {
  /** Changes with every answer: registries keep their state in it. */
  readonly url: URL;
  /** Bytes that every chunk but the last must have at least. */
  readonly minChunk: number;
}

/** Bytes: a chunk is held in memory. */
const largestMinimum = 64 * 1024 * 1024;

/** Undefined for an answer without a Location. */
export function uploadIn(repository: Repository, reply: Reply | Answer): Upload | undefined {
  const location = reply.header('location');
  if (location === undefined) return undefined;
  const minimum = Number(reply.header('oci-chunk-min-length') ?? 0);
  return {
    url: repository.client.resolve(location, reply.url),
    minChunk: Number.isSafeInteger(minimum) && minimum > 0 ? Math.min(minimum, largestMinimum) : 0,
  };
}

export async function startUpload(
  repository: Repository,
  { signal, tries }: { signal: AbortSignal; tries?: number },
): Promise<Upload> {
  const reply = await repository.client.call(
    {
      method: 'POST',
      url: repository.path('blobs/uploads/'),
      scopes: [repository.pushScope],
      expected: [202],
    },
    { signal, ...(tries === undefined ? {} : { tries }) },
  );
  const upload = uploadIn(repository, reply);
  if (upload !== undefined) return upload;
  throw new RegistryError(
    'registry-error',
    `${repository.fullName}: the registry opened an upload without a Location`,
  );
}

/** Where the upload goes on, by what the registry says that it has. */
export async function uploadStatus(
  repository: Repository,
  upload: Upload,
  signal: AbortSignal,
): Promise<{ upload: Upload; received: number }> {
  const reply = await repository.client.call(
    { method: 'GET', url: upload.url, scopes: [repository.pushScope], expected: [200, 202, 204] },
    { signal },
  );
  const { minChunk } = upload;
  return {
    upload: { url: uploadIn(repository, reply)?.url ?? upload.url, minChunk },
    received: receivedIn(reply) ?? 0,
  };
}

/** Bytes that a `Range` header speaks of; undefined when it does not. */
export function receivedIn(reply: Reply): number | undefined {
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(reply.header('range')?.trim() ?? '') ?? [];
  if (last === undefined) return undefined;
  // Registries say 0-0 of an upload that has nothing yet; a single byte is not sent.
  return Number(last) === 0 ? 0 : Number(last) + 1;
}

/** By hand: URLSearchParams would write the registry's own state anew, in another spelling. */
export function withDigest({ url: location }: Upload, digest: string): URL {
  const url = new URL(location);
  url.search += `${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
  return url;
}

/** Best effort: registries clear abandoned uploads by themselves, only later. */
export async function giveUp(repository: Repository, upload: Upload, signal: AbortSignal): Promise<void> {
  const { client, pushScope } = repository;
  try {
    await client.call(
      { method: 'DELETE', url: upload.url, scopes: [pushScope], expected: [200, 202, 204] },
      { signal, tries: 1 },
    );
  } catch {
    if (signal.aborted) throw reasonOf(signal);
  }
}

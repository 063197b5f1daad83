/** The manifest of an image, put where its blobs were brought. */
import type { Descriptor } from '../../shared/progress.ts';
import type { Manifest } from '../manifest/document.ts';
import { copyBlob } from './blobs.ts';
import { putManifest } from './manifests.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';

export interface Child {
  readonly manifest: Manifest;
  readonly blobs: readonly Descriptor[];
}

/** What registries answer when a manifest names content that they lack, by their own lights. */
const missingContent = new Set([
  'MANIFEST_BLOB_UNKNOWN',
  'BLOB_UNKNOWN',
  'MANIFEST_UNKNOWN',
  'MANIFEST_INVALID',
]);

/**
 * By its digest. Some registries say that they have mounted a blob and miss it afterwards (Artifactory, between local
 * repositories): then the blobs are copied after all, those that the answer names or else all. Gives those copied.
 */
export async function putChild(
  { manifest, blobs }: Child,
  { from, to }: { from: Repository; to: Repository },
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const put = (): Promise<void> => putManifest(to, manifest, { reference: manifest.digest, signal });
  try {
    await put();
    return [];
  } catch (error) {
    if (!lacksContent(error)) throw error;
    const named = blobs.filter(({ digest }) => error.digests.includes(digest));
    const missing = named.length > 0 ? named : blobs;
    to.client.capabilities.mountRefused(from.name, to.name, false);
    await Promise.all(missing.map((blob) => copyBlob({ from, to, blob }, { signal })));
    await put();
    return missing;
  }
}

/** Whether it refused a manifest or list for want of what that names. */
export function lacksContent(error: unknown): error is RegistryError {
  if (!(error instanceof RegistryError)) return false;
  const { status, registryCodes } = error;
  return (status === 400 || status === 404) && registryCodes.some((code) => missingContent.has(code));
}

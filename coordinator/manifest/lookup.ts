/** Finds what a reference stands for now, for the commands that read registries. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseReference, withDefaultTag } from '../../shared/reference.ts';
import { readBlob } from '../registry/blobs.ts';
import { getManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { parseConfigPlatform, parseImage, type Manifest, type PlatformFields } from './document.ts';

export interface Found {
  readonly repository: Repository;
  /** The full reference, with tag or digest. */
  readonly name: string;
  readonly manifest: Manifest;
}

/** Bytes of an image's config. */
const maxConfig = 8 * 1024 * 1024;

/** Throws `not-found`. */
export async function lookUp(text: string, registries: Registries, signal: AbortSignal): Promise<Found> {
  const { tag, digest, ...named } = withDefaultTag(parseReference(text));
  const repository = registries.repository(named);
  const manifest = await getManifest(repository, digest ?? tag!, signal);
  const name = digest === undefined ? repository.reference(tag!) : repository.reference(digest);
  if (manifest === undefined) {
    throw new ArchfarmError('not-found', `no such manifest: ${name}`, {
      hint: 'check the name and the tag, and that you are signed in where the image is private',
    });
  }
  return { repository, name, manifest };
}

/** What the config of a single image says. */
export async function imagePlatform(
  { repository, name, manifest }: Found,
  signal: AbortSignal,
): Promise<PlatformFields> {
  const { mediaType, digest, size } = parseImage(manifest, name).config;
  const config = await readBlob(repository, { mediaType, digest, size }, { limit: maxConfig, signal });
  return parseConfigPlatform(config, name);
}

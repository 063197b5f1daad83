/**
 * Believing an agent: what it says it pushed is read back from the registry, checked byte by byte, and must be the
 * image it built, for the platform it was asked for.
 */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, normalizePlatform, samePlatform, type Platform } from '../../shared/platform.ts';
import type { Descriptor } from '../../shared/progress.ts';
import { formatReference, type Reference } from '../../shared/reference.ts';
import type { PushedImage } from '../../shared/task.ts';
import type { VerifiedImage } from '../farm/events.ts';
import type { AttestationMode } from '../project/annotations.ts';
import { readBlob } from '../registry/blobs.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { attestationsOf } from './attestations.ts';
import {
  isAttestation,
  parseConfigPlatform,
  parseImage,
  parseList,
  type ListDocument,
  type ListEntry,
  type Manifest,
  type PlatformFields,
} from './document.ts';
import { isForeignLayer, isList } from './media-types.ts';

/** Bytes. Configs carry the whole build history, so they outgrow manifests. */
const maxConfig = 8 * 1024 * 1024;

export interface Asked {
  readonly reported: PushedImage;
  /** Where the image was pushed. */
  readonly reference: Reference;
  readonly platform: Platform;
  /** Kept where absent. */
  readonly attestations?: AttestationMode | undefined;
  /** Whether a list of every final repository names the manifest, which is there then. */
  readonly isListed?: ((digest: string) => Promise<boolean>) | undefined;
}

/** Throws `wrong-architecture`, `attestation-refused`, and what the registry answers. */
export async function verifyImage(
  asked: Asked,
  registries: Registries,
  signal: AbortSignal,
): Promise<VerifiedImage> {
  const { reported, reference, platform } = asked;
  const repository = registries.repository(reference);
  const pushed = await pushedManifest(asked, { repository, registries, signal });
  const name = repository.reference(reported.digest);
  if (pushed.bytes.length !== reported.size) {
    throw new ArchfarmError(
      'registry-error',
      `${name} has ${pushed.bytes.length} bytes in the registry, ${reported.size} were pushed`,
    );
  }
  const list = isList(pushed.mediaType) ? parseList(pushed, name) : undefined;
  const place = { repository, registries, signal };
  const manifest = list === undefined ? pushed : await childOf(list, { ...place, name, platform });
  const image = parseImage(manifest, name);
  // Engines with the containerd image store name an image by what they push, others by its config.
  if (![image.config.digest, pushed.digest, manifest.digest].includes(reported.imageId)) {
    throw new ArchfarmError(
      'engine-error',
      `${name} is not the image that was built: its config is ${image.config.digest}, the build gave ${reported.imageId}`,
      { hint: `something else was pushed as ${formatReference(reference)} at the same time` },
    );
  }
  const config = descriptorOf(image.config);
  const mode = asked.attestations ?? 'keep';
  const [found, attestations] = await Promise.all([
    configPlatform(config, reported, { repository, name, signal }),
    list === undefined
      ? []
      : attestationsOf(list, { subject: manifest.digest, mode, repository, registries }, signal),
  ]);
  const layers = image.layers.filter(({ mediaType }) => !isForeignLayer(mediaType)).map(descriptorOf);
  return {
    repository: repository.fullName,
    descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length },
    config: config.digest,
    platform: checkPlatform(found, { asked: platform, image: formatReference(reference) }),
    blobs: [config, ...layers],
    ...(attestations.length === 0 ? {} : { attestations }),
  };
}

interface Place {
  readonly repository: Repository;
  readonly registries: Registries;
  readonly signal: AbortSignal;
}

/** Read back in any case, unless its bytes are at hand and the registry has just said that it has them. */
async function pushedManifest(
  { reported, isListed }: Asked,
  { repository, registries, signal }: Place,
): Promise<Manifest> {
  const kept = registries.keptManifest(reported.digest);
  if (kept !== undefined && (await isListed?.(reported.digest)) === true) return kept;
  return registries.fetchManifest(repository, reported.digest, signal);
}

/** An engine that names the image by its config has told what that says; but not the features of an os. */
async function configPlatform(
  config: Descriptor,
  { imageId, config: told }: PushedImage,
  { repository, name, signal }: { repository: Repository; name: string; signal: AbortSignal },
): Promise<PlatformFields> {
  if (told !== undefined && imageId === config.digest && told.os !== 'windows') {
    const { os, architecture, variant, osVersion } = told;
    return {
      os,
      architecture,
      ...(variant === undefined ? {} : { variant }),
      ...(osVersion === undefined ? {} : { 'os.version': osVersion }),
    };
  }
  return parseConfigPlatform(await readBlob(repository, config, { limit: maxConfig, signal }), name);
}

/** The one image of a pushed index that is of the platform. */
async function childOf(
  list: ListDocument,
  context: Place & { name: string; platform: Platform },
): Promise<Manifest> {
  const { repository, name, platform, registries, signal } = context;
  const images = list.manifests.filter((entry) => !isAttestation(entry));
  // A single image speaks for itself, by its config.
  const [child, ...others] = images.length === 1 ? images : images.filter((entry) => isOf(entry, platform));
  if (child === undefined)
    throw wrongArchitecture(name, platform, images.map(describe).join(', ') || 'no image');
  if (others.length > 0) {
    throw new ArchfarmError(
      'registry-error',
      `${name} holds ${others.length + 1} images for ${formatPlatform(platform)}, where one was built`,
    );
  }
  const manifest = await registries.fetchManifest(repository, child.digest, signal);
  if (manifest.bytes.length === child.size && manifest.mediaType === child.mediaType) return manifest;
  throw new ArchfarmError('registry-error', `${name} describes ${child.digest} as what it is not`);
}

function isOf(entry: ListEntry, platform: Platform): boolean {
  return entry.platform !== undefined && samePlatform(platformOf(entry.platform), platform);
}

function describe(entry: ListEntry): string {
  return entry.platform === undefined ? 'one without platform' : formatPlatform(platformOf(entry.platform));
}

function platformOf({ os, architecture, variant }: PlatformFields): Platform {
  return { os, architecture, ...(variant ? { variant } : {}) };
}

function checkPlatform(
  found: PlatformFields,
  { asked, image }: { asked: Platform; image: string },
): VerifiedImage['platform'] {
  const wanted = normalizePlatform(asked);
  // A config without a variant contradicts none.
  const unsaid = !found.variant && normalizePlatform(platformOf(found)).architecture === wanted.architecture;
  const platform = unsaid ? { ...wanted, os: found.os } : normalizePlatform(platformOf(found));
  if (!samePlatform(platform, wanted)) {
    throw wrongArchitecture(image, wanted, formatPlatform(platformOf(found)));
  }
  const osVersion = found['os.version'];
  const osFeatures = found['os.features'];
  return {
    ...platform,
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(osFeatures ? { osFeatures } : {}),
  };
}

function wrongArchitecture(image: string, asked: Platform, found: string): ArchfarmError {
  return new ArchfarmError(
    'wrong-architecture',
    `${image} was asked for as ${formatPlatform(asked)} and is ${found}`,
    { hint: 'a FROM line with a fixed --platform or an image of one architecture only makes such images' },
  );
}

function descriptorOf({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** Images that are in a registry already, of whoever made them, on their way into a list. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, samePlatform } from '../../shared/platform.ts';
import type { Descriptor } from '../../shared/progress.ts';
import type { VerifiedImage } from '../farm/events.ts';
import type { AttestationMode } from '../project/annotations.ts';
import type { Registries } from '../registry/registries.ts';
import { attestationsOf } from './attestations.ts';
import {
  isAttestation,
  parseImage,
  parseList,
  type ImageDocument,
  type ListDocument,
  type ListEntry,
  type Manifest,
  type PlatformFields,
} from './document.ts';
import { completePlatform, withVariant, type GivenPlatform } from './given-platform.ts';
import { lookUp, type Found } from './lookup.ts';
import { isForeignLayer, isList } from './media-types.ts';
import { together } from './together.ts';

export interface Source {
  /** As it was written. */
  readonly image: string;
  /** Of a list with several images it says which of them is meant. */
  readonly platform?: GivenPlatform | undefined;
}

export interface SourceImage {
  /** Full, with the tag or digest that was asked for. */
  readonly name: string;
  readonly image: VerifiedImage;
  /** Of its entry in the list that it comes from. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface SourceOptions {
  readonly registries: Registries;
  readonly attestations: AttestationMode;
  /** A platform that nobody tells is left empty: somebody may still say it. */
  readonly lenient?: boolean;
  readonly signal: AbortSignal;
}

/** One image, or all of a list. Throws `not-found`. */
export async function readSource(source: Source, options: SourceOptions): Promise<readonly SourceImage[]> {
  const { registries, lenient, signal } = options;
  const found = await lookUp(source.image, registries, signal);
  // It is about to be published.
  registries.keepManifest(found.manifest);
  if (isList(found.manifest.mediaType)) return readList(found, source, options);
  const document = parseImage(found.manifest, found.name);
  const platform = await completePlatform(found, { given: source.platform, lenient }, signal);
  return [{ name: found.name, image: describe(found, document, platform) }];
}

async function readList(
  found: Found,
  { platform: given }: Source,
  options: SourceOptions,
): Promise<readonly SourceImage[]> {
  const list = parseList(found.manifest, found.name);
  const images = list.manifests.filter((entry) => !isAttestation(entry));
  // A single image is what it is told to be, as one that stands alone.
  const single = images.length === 1;
  const chosen = single || given === undefined ? images : [theOneFor(given, images, found)];
  return together(
    chosen,
    async (entry, signal) => {
      const { repository } = found;
      const manifest = await options.registries.manifest(repository, entry.digest, signal);
      const name = repository.reference(entry.digest);
      checkDescribed(manifest, entry, found.name);
      const child: Found = { repository, name, manifest };
      const document = parseImage(manifest, name);
      const told = { listed: entry.platform, given: single ? given : undefined, lenient: options.lenient };
      const image = describe(child, document, await completePlatform(child, told, signal));
      const attestations = await attestationsOf(
        about(list, { digest: entry.digest, single }),
        { ...options, subject: entry.digest, mode: options.attestations, repository },
        signal,
      );
      return {
        name,
        image: attestations.length === 0 ? image : { ...image, attestations },
        annotations: entry.annotations,
      };
    },
    options.signal,
  );
}

/** Of several images, an attestation that does not say which it is about is about none of them. */
function about(list: ListDocument, { digest, single }: { digest: string; single: boolean }): ListDocument {
  if (single) return list;
  const said = (entry: ListEntry): boolean => entry.annotations?.['vnd.docker.reference.digest'] === digest;
  return { ...list, manifests: list.manifests.filter(said) };
}

function theOneFor(given: GivenPlatform, images: readonly ListEntry[], { name }: Found): ListEntry {
  const { os = 'linux', architecture, variant, osVersion } = given;
  if (architecture === undefined) {
    throw new ArchfarmError('usage', `${name} holds ${images.length} images, and no architecture is given`, {
      hint: 'name os and architecture of the one that is meant, or give no platform at all',
    });
  }
  const wanted = withVariant({ os, architecture, variant });
  const fitting = images.filter(
    ({ platform }) =>
      platform !== undefined &&
      samePlatform(withVariant(platform), wanted) &&
      (osVersion === undefined || platform['os.version'] === osVersion),
  );
  const [one, another] = fitting;
  const offered = images.map(({ platform }) => format(platform)).join(', ') || 'none';
  if (one === undefined) {
    throw new ArchfarmError('not-found', `${name} has no image for ${formatPlatform(wanted)}`, {
      hint: `it offers ${offered}`,
    });
  }
  if (another === undefined) return one;
  throw new ArchfarmError('usage', `${name} has ${fitting.length} images for ${formatPlatform(wanted)}`, {
    hint: `name the one by its digest: ${fitting.map(({ digest }) => digest).join(', ')}`,
  });
}

function describe(
  { repository, manifest }: Found,
  document: ImageDocument,
  platform: VerifiedImage['platform'],
): VerifiedImage {
  const { mediaType, digest, bytes } = manifest;
  const blobs = [document.config, ...document.layers.filter((layer) => !isForeignLayer(layer.mediaType))];
  return {
    repository: repository.fullName,
    descriptor: { mediaType, digest, size: bytes.length },
    config: document.config.digest,
    platform,
    blobs: blobs.map(({ mediaType, digest, size }): Descriptor => ({ mediaType, digest, size })),
  };
}

function checkDescribed(manifest: Manifest, { digest, size, mediaType }: ListEntry, name: string): void {
  if (manifest.bytes.length === size && manifest.mediaType === mediaType) return;
  throw new ArchfarmError('registry-error', `${name} describes ${digest} as what it is not`);
}

function format(platform: PlatformFields | undefined): string {
  return platform === undefined ? 'one without platform' : formatPlatform(withVariant(platform));
}

/** The bytes of a manifest list: whoever assembles the same children gets the same digest. */
import type { VerifiedImage } from '../farm/events.ts';
import type { Annotations, ListType } from '../project/annotations.ts';
import type { Descriptor } from '../../shared/progress.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../../shared/platform.ts';
import { digestOf } from '../registry/digest.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Manifest } from './document.ts';
import { dockerList, dockerManifest, ociIndex } from './media-types.ts';

export interface ListChild {
  readonly descriptor: Descriptor;
  readonly platform: VerifiedImage['platform'];
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface ListedImage extends VerifiedImage {
  /** Of its entry; those that are asked for by platform add to them. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface ListOptions {
  /** `auto`: a Docker list when every child is Docker-typed and nothing is annotated, an OCI index otherwise. */
  readonly type?: ListType | undefined;
  /** Of the list itself. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** In the order given. Throws `usage` for annotations or an OCI image in a Docker list, which has no place for them. */
export function assembleList(children: readonly ListChild[], options: ListOptions = {}): Manifest {
  const { type = 'auto', annotations = {} } = options;
  const annotated = [annotations, ...children.map((child) => child.annotations ?? {})].some(
    (each) => Object.keys(each).length > 0,
  );
  if (type === 'docker' && annotated) {
    throw new ArchfarmError('usage', 'a Docker manifest list takes no annotations', {
      hint: 'use --type oci',
    });
  }
  if (type === 'docker') children.forEach(requireDockerImage);
  const plain = !annotated && children.every(isDockerImage);
  const docker = type === 'docker' || (type === 'auto' && plain);
  const mediaType = docker ? dockerList : ociIndex;
  const manifests = children.map((child) => {
    const { mediaType, digest, size } = child.descriptor;
    // Each in the order of fields that its own tools write.
    const reference = docker ? { size, digest } : { digest, size, annotations: sorted(child.annotations) };
    return { mediaType, ...reference, platform: platformFields(child.platform) };
  });
  const document = { schemaVersion: 2, mediaType, manifests, annotations: sorted(annotations) };
  const bytes = Buffer.from(JSON.stringify(document, null, docker ? 3 : 2));
  return { mediaType, digest: digestOf(bytes), bytes };
}

/** Throws `usage` for an image that a Docker list has no place for. */
export function requireDockerImage(child: Pick<ListChild, 'descriptor' | 'platform'>): void {
  if (isDockerImage(child)) return;
  const what = `${child.descriptor.digest}, for ${formatPlatform(platformOf(child.platform))},`;
  throw new ArchfarmError('usage', `${what} is an OCI image, and a Docker manifest list holds none`, {
    hint: 'use --type oci, or auto; engines with the containerd image store push OCI images',
  });
}

function isDockerImage({ descriptor }: Pick<ListChild, 'descriptor'>): boolean {
  return descriptor.mediaType === dockerManifest;
}

/** The images, then what is said about them, as BuildKit orders its own lists. */
export function listChildren(images: readonly ListedImage[], annotations?: Annotations): ListChild[] {
  const attestations = images.flatMap((image) => image.attestations ?? []);
  return [
    ...images.map(({ descriptor, platform, annotations: own }) => {
      return { descriptor, platform, annotations: { ...own, ...annotationsOf(platform, annotations) } };
    }),
    ...attestations.map(({ descriptor, annotations }) => {
      return { descriptor, platform: { os: 'unknown', architecture: 'unknown' }, annotations };
    }),
  ];
}

function annotationsOf(
  platform: VerifiedImage['platform'],
  annotations: Annotations | undefined,
): Readonly<Record<string, string>> {
  return { ...annotations?.everyPlatform, ...annotations?.platforms[formatPlatform(platformOf(platform))] };
}

export function platformOf({ os, architecture, variant }: VerifiedImage['platform']): Platform {
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}

/** By name, as Go writes maps; left out where there are none. */
function sorted(
  annotations: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  const entries = Object.entries(annotations ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** JSON leaves out what is undefined. */
function platformFields(platform: VerifiedImage['platform']): Record<string, unknown> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion,
    'os.features': platform.osFeatures,
    variant: platform.variant,
  };
}

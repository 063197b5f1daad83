/** Manifests and lists as data: bytes of a registry that are checked before anything believes them. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { isDigest } from '../../shared/reference.ts';
import { said } from '../registry/said.ts';
import { isImageManifest, isList, ociIndex, ociManifest } from './media-types.ts';
import { isDeep } from './nesting.ts';

/** The bytes of a manifest or list, as the registry keeps them. */
export interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

/** Names that find their way into lists and onto terminals. */
const label = v.pipe(
  v.string(),
  v.maxLength(255, 'is too long'),
  v.check((text) => !/\p{C}/u.test(text), 'has control characters'),
);

const descriptor = v.looseObject({
  mediaType: label,
  digest: v.pipe(v.string(), v.check(isDigest, 'not a sha256 digest')),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  annotations: v.optional(v.record(v.string(), v.string())),
});

const platform = v.looseObject({
  architecture: v.optional(label, ''),
  os: v.optional(label, ''),
  'os.version': v.optional(label),
  'os.features': v.optional(v.nullable(v.array(label))),
  variant: v.optional(label),
});

const image = v.looseObject({
  schemaVersion: v.literal(2),
  config: descriptor,
  layers: v.array(descriptor),
  // A document that reads as both an image and a list would be different things to different clients.
  manifests: v.optional(v.undefined()),
});

const list = v.looseObject({
  schemaVersion: v.literal(2),
  manifests: v.array(v.looseObject({ ...descriptor.entries, platform: v.optional(platform) })),
  config: v.optional(v.undefined()),
  layers: v.optional(v.undefined()),
});

export type ImageDocument = v.InferOutput<typeof image>;
export type ListDocument = v.InferOutput<typeof list>;
export type ListEntry = ListDocument['manifests'][number];
export type PlatformFields = v.InferOutput<typeof platform>;

/** `name` is for the error. */
export function parseImage(manifest: Manifest, name: string): ImageDocument {
  if (!isImageManifest(manifest.mediaType)) throw unusable(name, `it is ${manifest.mediaType}, not an image`);
  return parse(image, manifest.bytes, name);
}

export function parseList(manifest: Manifest, name: string): ListDocument {
  if (!isList(manifest.mediaType)) throw unusable(name, `it is ${manifest.mediaType}, not a list of images`);
  return parse(list, manifest.bytes, name);
}

/** The platform as an image's config tells it. */
export function parseConfigPlatform(config: Buffer, name: string): PlatformFields {
  return parse(platform, config, name);
}

const outline = v.looseObject({
  schemaVersion: v.optional(v.unknown()),
  mediaType: v.optional(label),
  config: v.optional(v.unknown()),
  manifests: v.optional(v.unknown()),
});

/** From the document, which must agree with the `Content-Type`; older OCI documents carry none of their own. */
export function mediaTypeOf(bytes: Buffer, { header, name }: { header: string; name: string }): string {
  const { schemaVersion, mediaType, config, manifests } = parse(outline, bytes, name);
  if (schemaVersion === 1) {
    throw new ArchfarmError('registry-error', `${name} is a schema 1 manifest, which no list can hold`, {
      hint: 'build and push the image again with an engine of this age',
    });
  }
  const declared = header.split(';', 1)[0]!.trim();
  const known = isList(declared) || isImageManifest(declared);
  if (mediaType === undefined) {
    if (known) return declared;
    return manifests !== undefined && config === undefined ? ociIndex : ociManifest;
  }
  if (known && declared !== mediaType) {
    throw unusable(name, `it calls itself ${mediaType}, its registry calls it ${declared}`);
  }
  return mediaType;
}

/** Provenance and the like: beside the images in a list, not one of them. */
export function isAttestation(entry: ListEntry): boolean {
  return (
    entry.annotations?.['vnd.docker.reference.type'] !== undefined ||
    (entry.platform?.architecture === 'unknown' && entry.platform.os === 'unknown')
  );
}

function parse<S extends v.GenericSchema>(schema: S, bytes: Buffer, name: string): v.InferOutput<S> {
  if (isDeep(bytes)) throw unusable(name, 'it is nested too deeply');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), bytes.toString('utf8'));
  if (parsed.success) return parsed.output;
  const [problem] = parsed.issues;
  const path = v.getDotPath(problem);
  throw unusable(name, said(path === null ? problem.message : `${path}: ${problem.message}`, 200));
}

function unusable(name: string, why: string): ArchfarmError {
  return new ArchfarmError('registry-error', `${name} is not a usable manifest: ${why}`);
}

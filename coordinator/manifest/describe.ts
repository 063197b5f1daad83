/** What a reference holds, for people: laid out as manifest-tool's `inspect`, which many of them know. */
import type { Registries } from '../registry/registries.ts';
import {
  isAttestation,
  parseImage,
  parseList,
  type ImageDocument,
  type ListEntry,
  type PlatformFields,
} from './document.ts';
import { imagePlatform, lookUp, type Found } from './lookup.ts';
import { isImageManifest, isList } from './media-types.ts';
import { together } from './together.ts';

/** Lines without an end of line. Texts of the registry are in them as they are. Throws `not-found`. */
export async function describeReference(
  text: string,
  registries: Registries,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = await lookUp(text, registries, signal);
  if (isList(found.manifest.mediaType)) return describeList(found, registries, signal);
  const image = parseImage(found.manifest, found.name);
  return describeImage(found, { image, platform: await imagePlatform(found, signal) });
}

function describeImage(
  { name, manifest }: Found,
  { image, platform }: { image: ImageDocument; platform: PlatformFields },
): string[] {
  return [
    `Name: ${name} (Type: ${manifest.mediaType})`,
    `      Digest: ${manifest.digest}`,
    `        Size: ${manifest.bytes.length}`,
    `          OS: ${platform.os}`,
    `        Arch: ${platform.architecture}`,
    ...(platform.variant ? [`     Variant: ${platform.variant}`] : []),
    `    # Layers: ${image.layers.length}`,
    ...layerLines(image).map((line) => `    ${line}`),
  ];
}

async function describeList(found: Found, registries: Registries, signal: AbortSignal): Promise<string[]> {
  const { repository, name, manifest } = found;
  const entries = parseList(manifest, name).manifests;
  const attestations = entries.filter(isAttestation).length;
  const described = await together(
    entries,
    async (entry, signal) => {
      // Lists may hold what is no image, now or one day: it is named and not opened.
      if (!isImageManifest(entry.mediaType)) return entryLines(entry, undefined);
      const child = await registries.manifest(repository, entry.digest, signal);
      return entryLines(entry, parseImage(child, repository.reference(entry.digest)));
    },
    signal,
  );
  return [
    `Name:   ${name} (Type: ${manifest.mediaType})`,
    `Digest: ${manifest.digest}`,
    ` * Contains ${entries.length} manifest references (${entries.length - attestations} images, ${attestations} attestation${attestations > 1 ? 's' : ''}):`,
    ...described.flatMap((lines, index) => [
      ...lines.head.map((line) => `[${index + 1}]${line}`),
      ...lines.layers,
      ...(index < described.length - 1 ? [''] : []),
    ]),
  ];
}

interface EntryLines {
  readonly head: readonly string[];
  readonly layers: readonly string[];
}

function entryLines(entry: ListEntry, image: ImageDocument | undefined): EntryLines {
  const kind = entry.annotations?.['vnd.docker.reference.type'];
  const type = kind === undefined ? '' : ` (vnd.docker.reference.type=${kind})`;
  const subject = entry.annotations?.['vnd.docker.reference.digest'];
  return {
    head: [
      `     Type: ${entry.mediaType}${type}`,
      `   Digest: ${entry.digest}`,
      `   Length: ${entry.size}`,
      ...(isAttestation(entry)
        ? [`       >>> Attestation for digest: ${subject ?? 'unknown'}`]
        : platformLines(entry.platform)),
      ...(image === undefined ? [] : [` # Layers: ${image.layers.length}`]),
    ],
    layers: image === undefined ? [] : layerLines(image),
  };
}

function platformLines(platform: PlatformFields | undefined): string[] {
  if (platform === undefined) return [' Platform: not told'];
  const version = platform['os.version'];
  const features = platform['os.features'];
  return [
    ' Platform:',
    `    -      OS: ${platform.os}`,
    ...(version ? [`    - OS Vers: ${version}`] : []),
    ...(features?.length ? [`    - OS Feat: [${features.join(' ')}]`] : []),
    `    -    Arch: ${platform.architecture}`,
    ...(platform.variant ? [`    - Variant: ${platform.variant}`] : []),
  ];
}

function layerLines({ layers }: ImageDocument): string[] {
  return layers.flatMap(({ digest, mediaType }, index) => [
    `     layer ${String(index + 1).padStart(2, '0')}: digest = ${digest}`,
    `                 type = ${mediaType}`,
  ]);
}

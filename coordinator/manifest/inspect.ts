/** What a reference holds, in the words of `docker manifest inspect` (23 and later). */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, normalizePlatform } from '../../shared/platform.ts';
import { parseReference, withDefaultTag } from '../../shared/reference.ts';
import { readBlob } from '../registry/blobs.ts';
import { getManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import {
  isAttestation,
  parseConfigPlatform,
  parseImage,
  parseList,
  type Manifest,
  type PlatformFields,
} from './document.ts';
import { indent, marshalIndent } from './go-json.ts';
import { dockerList, isList, ociIndex, ociManifest } from './media-types.ts';
import { together } from './together.ts';

/** Bytes of an image's config. */
const maxConfig = 8 * 1024 * 1024;

interface Found {
  readonly repository: Repository;
  /** The full reference, with tag or digest. */
  readonly name: string;
  readonly manifest: Manifest;
}

/** `raw` gives the exact bytes; anything else ends in a newline, as docker prints it. Throws `not-found`. */
export async function inspectReference(
  text: string,
  { verbose = false, raw = false }: { verbose?: boolean | undefined; raw?: boolean | undefined },
  registries: Registries,
  signal: AbortSignal,
): Promise<string | Buffer> {
  const found = await find(text, registries, signal);
  const { manifest, name } = found;
  if (raw) return manifest.bytes;
  if (isList(manifest.mediaType)) {
    return verbose ? verboseList(found, registries, signal) : `${plainList(manifest, name)}\n`;
  }
  parseImage(manifest, name);
  if (!verbose) return `${indent(manifest.bytes.toString('utf8'))}\n`;
  return `${marshalIndent(verboseImage(name, manifest, await platformOf(found, signal)))}\n`;
}

/** The platforms a reference offers, formatted; attestations are none. Throws `not-found`. */
export async function listPlatforms(
  text: string,
  registries: Registries,
  signal: AbortSignal,
): Promise<string[]> {
  const found = await find(text, registries, signal);
  const { manifest, name } = found;
  if (!isList(manifest.mediaType)) return [format(await platformOf(found, signal))];
  return parseList(manifest, name)
    .manifests.filter((entry) => !isAttestation(entry))
    .map((entry) => (entry.platform === undefined ? 'unknown' : format(entry.platform)));
}

async function find(text: string, registries: Registries, signal: AbortSignal): Promise<Found> {
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

async function platformOf(
  { repository, name, manifest }: Found,
  signal: AbortSignal,
): Promise<PlatformFields> {
  const { mediaType, digest, size } = parseImage(manifest, name).config;
  const config = await readBlob(repository, { mediaType, digest, size }, { limit: maxConfig, signal });
  return parseConfigPlatform(config, name);
}

function format({ os, architecture, variant }: PlatformFields): string {
  return formatPlatform(normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) }));
}

/** Docker reads every child and puts the list's own idea of its platform in the place of the child's. */
async function verboseList(found: Found, registries: Registries, signal: AbortSignal): Promise<string> {
  const { repository, name, manifest } = found;
  const children = await together(
    parseList(manifest, name).manifests,
    async (entry, signal) => {
      const child = await registries.manifest(repository, entry.digest, signal);
      const childName = `${name.replace(/@.*$/, '')}@${entry.digest}`;
      parseImage(child, childName);
      return verboseImage(childName, child, entry.platform ?? { architecture: '', os: '' });
    },
    signal,
  );
  return `${marshalIndent(children)}\n`;
}

function verboseImage(name: string, manifest: Manifest, platform: PlatformFields): Record<string, unknown> {
  const document: unknown = JSON.parse(manifest.bytes.toString('utf8'));
  return {
    Ref: name,
    Descriptor: {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.length,
      platform: platformFields(platform),
    },
    Raw: manifest.bytes.toString('base64'),
    [manifest.mediaType === ociManifest ? 'OCIManifest' : 'SchemaV2Manifest']: document,
  };
}

/** Docker prints a list anew from its members, with the type that the first of them suggests. */
function plainList(manifest: Manifest, name: string): string {
  const entries = parseList(manifest, name).manifests;
  const mediaType = entries[0]?.mediaType === ociManifest ? ociIndex : dockerList;
  const manifests = entries.map(({ mediaType, size, digest, platform }) => {
    return { mediaType, size, digest, platform: platformFields(platform ?? { architecture: '', os: '' }) };
  });
  return JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3);
}

function platformFields(platform: PlatformFields): Record<string, unknown> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform['os.version'] || undefined,
    'os.features': platform['os.features']?.length ? platform['os.features'] : undefined,
    variant: platform.variant || undefined,
  };
}

/** What a reference holds, in the words of `docker manifest inspect` (23 and later). */
import type { Registries } from '../registry/registries.ts';
import { parseImage, parseList, type Manifest, type PlatformFields } from './document.ts';
import { indent, marshalIndent } from './go-json.ts';
import { imagePlatform, lookUp, type Found } from './lookup.ts';
import { dockerList, isList, ociIndex, ociManifest } from './media-types.ts';
import { together } from './together.ts';

/** `raw` gives the exact bytes; anything else ends in a newline, as docker prints it. Throws `not-found`. */
export async function inspectReference(
  text: string,
  { verbose = false, raw = false }: { verbose?: boolean | undefined; raw?: boolean | undefined },
  registries: Registries,
  signal: AbortSignal,
): Promise<string | Buffer> {
  const found = await lookUp(text, registries, signal);
  const { manifest, name } = found;
  if (raw) return manifest.bytes;
  if (isList(manifest.mediaType)) {
    return verbose
      ? verboseList(found, registries, signal)
      : `${printList(parseList(manifest, name).manifests)}\n`;
  }
  parseImage(manifest, name);
  if (!verbose) return `${indent(manifest.bytes.toString('utf8'))}\n`;
  return `${marshalIndent(verboseImage(name, manifest, await imagePlatform(found, signal)))}\n`;
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

export function verboseImage(
  name: string,
  manifest: Manifest,
  platform: PlatformFields,
): Record<string, unknown> {
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

interface PrintedEntry {
  readonly mediaType: string;
  readonly size: number;
  readonly digest: string;
  readonly platform?: PlatformFields | undefined;
}

/** Docker prints a list anew from its members, with the type that the first of them suggests. */
export function printList(entries: readonly PrintedEntry[]): string {
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

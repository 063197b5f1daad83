/** The platforms that a reference offers, and which of its images a client of some platform would get. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../../shared/platform.ts';
import type { Registries } from '../registry/registries.ts';
import { isAttestation, parseList, type PlatformFields } from './document.ts';
import { imagePlatform, lookUp } from './lookup.ts';
import { choices } from './match.ts';
import { isList } from './media-types.ts';

export interface OfferedImage {
  /** Formatted; `unknown` where a list does not say. */
  readonly platform: string;
  readonly digest: string;
}

/** In the order of the list; attestations are none. Throws `not-found`. */
export async function listPlatforms(
  text: string,
  registries: Registries,
  signal: AbortSignal,
): Promise<OfferedImage[]> {
  const found = await lookUp(text, registries, signal);
  const { manifest, name } = found;
  if (!isList(manifest.mediaType)) {
    return [{ platform: format(await imagePlatform(found, signal)), digest: manifest.digest }];
  }
  return parseList(manifest, name)
    .manifests.filter((entry) => !isAttestation(entry))
    .map(({ platform, digest }) => ({
      platform: platform === undefined ? 'unknown' : format(platform),
      digest,
    }));
}

/** Throws `not-found` when a client on that platform would get none of them. */
export function imageFor(
  wanted: Platform,
  { offered, reference }: { offered: readonly OfferedImage[]; reference: string },
): OfferedImage {
  for (const choice of choices(wanted).map(formatPlatform)) {
    const image = offered.find(({ platform }) => platform === choice);
    if (image !== undefined) return image;
  }
  throw new ArchfarmError('not-found', `${reference} has no image for ${formatPlatform(wanted)}`, {
    hint: `it offers ${offered.map(({ platform }) => platform).join(', ') || 'none'}`,
  });
}

function format({ os, architecture, variant }: PlatformFields): string {
  return formatPlatform(normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) }));
}

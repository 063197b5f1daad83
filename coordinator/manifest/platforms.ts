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
  /** What tells several images of one platform apart, as with Windows; absent where nothing does. */
  readonly osVersion?: string;
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
    return [offer(await imagePlatform(found, signal), manifest.digest)];
  }
  return parseList(manifest, name)
    .manifests.filter((entry) => !isAttestation(entry))
    .map(({ platform, digest }) =>
      platform === undefined ? { platform: 'unknown', digest } : offer(platform, digest),
    );
}

/** `windows(10.0.17763.2114)/amd64`: as containerd writes it (github.com/containerd/platforms, FormatAll). */
export function formatOffered({ platform, osVersion }: Pick<OfferedImage, 'platform' | 'osVersion'>): string {
  if (osVersion === undefined) return platform;
  const [os, ...others] = platform.split('/');
  return [`${os}(${osVersion})`, ...others].join('/');
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
    hint: `it offers ${offered.map(formatOffered).join(', ') || 'none'}`,
  });
}

function offer(
  { os, architecture, variant, 'os.version': osVersion }: PlatformFields,
  digest: string,
): OfferedImage {
  return {
    platform: formatPlatform(normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) })),
    ...(osVersion ? { osVersion } : {}),
    digest,
  };
}

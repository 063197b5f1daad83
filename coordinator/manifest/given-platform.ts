/** What is said of an image's platform, by a person or by a list, where the rest is as its config has it. */
import { ArchfarmError } from '../../shared/errors.ts';
import { checkPlatform, type Platform } from '../../shared/platform.ts';
import type { VerifiedImage } from '../farm/events.ts';
import type { PlatformFields } from './document.ts';
import { imagePlatform, type Found } from './lookup.ts';

export interface GivenPlatform {
  readonly os?: string | undefined;
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | undefined;
}

export interface ToldPlatform {
  readonly given?: GivenPlatform | undefined;
  readonly listed?: PlatformFields | undefined;
  /** Leaves empty what nobody tells. */
  readonly lenient?: boolean | undefined;
}

/**
 * As it is published. A person is believed before a list, and a list before the config, which is not read where no more
 * can be expected of it. Throws `usage` for what a person cannot mean, and when nobody tells.
 */
export async function completePlatform(
  found: Found,
  { given = {}, listed, lenient = false }: ToldPlatform,
  signal: AbortSignal,
): Promise<VerifiedImage['platform']> {
  const told = { ...fieldsOf(listed), ...withoutUndefined(given) };
  const all = isWhole(told) ? told : completedBy(fieldsOf(await imagePlatform(found, signal)), told);
  const unknown = lenient ? '' : undefined;
  const { os = unknown, architecture = unknown, variant, osVersion, osFeatures } = all;
  if (os === undefined || architecture === undefined) {
    throw new ArchfarmError('usage', `${found.name} does not say for which platform it is`, {
      hint: 'give its os and architecture',
    });
  }
  const platform = withVariant({ os, architecture, variant });
  // What engines write into images is their own affair.
  if (Object.keys(withoutUndefined(given)).length > 0) checkPlatform(platform);
  return {
    ...platform,
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(osFeatures === undefined ? {} : { osFeatures }),
  };
}

/** Of Linux, arm alone comes in variants that exclude each other; other systems come in versions. */
function isWhole({ os, architecture, variant, osVersion }: GivenPlatform): boolean {
  if (os === undefined || architecture === undefined) return false;
  return os === 'linux' ? architecture !== 'arm' || variant !== undefined : osVersion !== undefined;
}

/** What a config says besides is about its own os and architecture. */
function completedBy(config: GivenPlatform, told: GivenPlatform): GivenPlatform {
  const { os, architecture } = config;
  const isSame = (told.os ?? os) === os && (told.architecture ?? architecture) === architecture;
  return isSame ? { ...config, ...told } : { os, architecture, ...told };
}

export function withVariant(fields: {
  os: string;
  architecture: string;
  variant?: string | undefined;
}): Platform {
  const { os, architecture, variant } = fields;
  return { os, architecture, ...(variant ? { variant } : {}) };
}

/** Documents write an empty text or list where there is nothing to say. */
function fieldsOf(platform: PlatformFields | undefined): GivenPlatform {
  const features = platform?.['os.features'] ?? [];
  return withoutUndefined({
    os: platform?.os || undefined,
    architecture: platform?.architecture || undefined,
    variant: platform?.variant || undefined,
    osVersion: platform?.['os.version'] || undefined,
    osFeatures: features.length > 0 ? features : undefined,
  });
}

function withoutUndefined(given: GivenPlatform): GivenPlatform {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

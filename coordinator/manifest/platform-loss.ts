/** A tag keeps the platforms that it has: whoever runs one of them would find it gone. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../../shared/platform.ts';
import { formatOffered } from './platforms.ts';

/**
 * As it is compared, `linux/arm64/v8` or `windows(10.0.17763)/amd64`: a Windows host runs images of its own build of Windows, in
 * any revision of it.
 */
export function comparedPlatform(platform: Platform, osVersion: string | undefined): string {
  const build = platform.os === 'windows' ? /^\d+\.\d+\.\d+/.exec(osVersion ?? '')?.[0] : undefined;
  const formatted = formatPlatform(normalizePlatform(platform));
  return formatOffered({ platform: formatted, ...(build === undefined ? {} : { osVersion: build }) });
}

/**
 * Those of `current` that `wanted` lacks; all as they are compared. Optional platforms are wanted, built or not. One without a
 * build of Windows is as good as any: nobody knows better.
 */
export function lostPlatforms(current: readonly string[], wanted: readonly string[]): string[] {
  const kept = new Set([...wanted, ...wanted.map(withoutBuild)]);
  const anyBuild = new Set(wanted.filter((platform) => withoutBuild(platform) === platform));
  return [...new Set(current)].filter(
    (platform) => !kept.has(platform) && !anyBuild.has(withoutBuild(platform)),
  );
}

function withoutBuild(platform: string): string {
  return platform.replace(/\(.*\)/, '');
}

export function platformLoss(reference: string, lost: readonly string[]): ArchfarmError {
  return new ArchfarmError(
    'platform-loss',
    `${reference} has ${lost.join(', ')} today, and would lose ${lost.length > 1 ? 'them' : 'it'}`,
    { hint: `publish ${lost.length > 1 ? 'them' : 'it'} too, or give --force to do without` },
  );
}

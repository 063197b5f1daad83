/** Which tags may move: what each stands for now may be somebody else's, or have platforms that it would lose. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform } from '../../shared/platform.ts';
import type { Manifest } from './document.ts';
import { platformOf } from './list.ts';
import { lostPlatforms, platformLoss } from './platform-loss.ts';
import type { Publication } from './publication.ts';
import { tagName, type FinalTag, type TagState } from './tags.ts';

export interface Target extends FinalTag {
  readonly state: TagState;
}

/** By name; tags that do not exist are left out. */
export function digestsOf(targets: readonly Target[]): Record<string, string> {
  return Object.fromEntries(
    targets.flatMap((target) => {
      const digest = target.state.manifest?.digest;
      return digest === undefined ? [] : [[tagName(target), digest]];
    }),
  );
}

/** By digest. */
export function manifestsOf(targets: readonly Target[]): ReadonlyMap<string, Manifest> {
  return new Map(
    targets.flatMap(({ state: { manifest } }) =>
      manifest === undefined ? [] : [[manifest.digest, manifest]],
    ),
  );
}

/** Throws `platform-loss` for the first that would lose a platform. */
export function refuseLoss(
  targets: readonly Target[],
  { children, platforms, force = false }: Publication,
): void {
  if (force) return;
  const wanted = platforms ?? children.map((child) => formatPlatform(platformOf(child.platform)));
  for (const target of targets) {
    const lost = lostPlatforms(target.state.platforms, wanted);
    if (lost.length > 0) throw platformLoss(tagName(target), lost);
  }
}

/** Of an amendment: those that stand for neither what it adds to, before or after, nor for what they are to go back to. */
export function findElsewhere(
  targets: readonly Target[],
  list: Manifest,
  { base, previous }: Publication,
): readonly Target[] {
  if (base === undefined) return [];
  return targets.filter((target) => {
    const digest = target.state.manifest?.digest;
    return digest === undefined || ![list.digest, base, previous?.[tagName(target)]].includes(digest);
  });
}

/** Completes a reason to leave it alone. */
export function describeElsewhere(target: Target): string {
  return `${tagName(target)} ${target.state.manifest === undefined ? 'is there no more' : 'stands for another list by now'}`;
}

export function nothingToAmend(elsewhere: readonly Target[]): ArchfarmError {
  return new ArchfarmError(
    'usage',
    `there is nothing left to amend: ${elsewhere.map(describeElsewhere).join(', ')}`,
    {
      hint: 'somebody else has written it meanwhile: amend what is there now, or build anew with archfarm build',
    },
  );
}

/** Builds that go on from one that has ended, checked against what registries and other builds have done meanwhile. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseReference } from '../../shared/reference.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { amendmentOf, retryOf, type FollowUp } from '../farm/amend.ts';
import type { Origin, Remains, VerifiedImage } from '../farm/events.ts';
import type { Farm } from '../farm/farm.ts';
import { finalTag } from '../manifest/tags.ts';
import { findDigest } from '../registry/manifests.ts';
import { tagKey } from '../registry/spelling.ts';
import type { Registries } from '../registry/registries.ts';
import { normalizeSpec } from './spec-schema.ts';

export interface AmendRequest {
  readonly platforms: readonly string[];
  readonly allowEmulation: boolean;
}

export interface CheckedFollowUp extends FollowUp {
  /** What is done otherwise than it was asked for. */
  readonly warnings: readonly string[];
  readonly ancestor: Ancestor;
}

/** What its contents are from. */
interface Ancestor {
  readonly root: string;
  /** Tags of builds above it are not its own. */
  readonly sequence: number;
}

/** What is remembered of builds. */
export type FarmHistory = Pick<Farm, 'remains' | 'publisher' | 'origin' | 'submitted'>;

export class FollowUps {
  readonly #farm: FarmHistory;
  readonly #registries: Registries;

  constructor({ farm, registries }: { readonly farm: FarmHistory; readonly registries: Registries }) {
    this.#farm = farm;
    this.#registries = registries;
  }

  /** Images that are gone from the registry are built again. Throws `usage`, and what registries answer. */
  async retry(result: BuildResult, signal: AbortSignal): Promise<CheckedFollowUp> {
    const remains = await this.#farm.remains(result.build);
    const followUp = retryOf(result, remains);
    const root = await this.#rootOf(followUp.origin.type === 'amend' ? followUp.origin.build : result.build);
    const ancestor = { root, sequence: remains?.sequence ?? 0 };
    const { tags, warnings, origin } = await this.#tagsFor(followUp, ancestor, signal);
    const entries = Object.entries(followUp.carried ?? {});
    const there = await Promise.all(entries.map(([, image]) => this.#isThere(image, signal)));
    return {
      ...followUp,
      origin,
      ancestor,
      spec: { ...followUp.spec, tags },
      carried: Object.fromEntries(entries.filter((_, index) => there[index])),
      warnings: [
        ...warnings,
        ...entries
          .filter((_, index) => !there[index])
          .map(([platform]) => `the image for ${platform} is gone from its registry: it is built again`),
      ],
    };
  }

  /** Tags that stand for something else by now are left as they are. Throws `usage` where all of them do. */
  async amend(result: BuildResult, request: AmendRequest, signal: AbortSignal): Promise<CheckedFollowUp> {
    const remains = await this.#farm.remains(result.build);
    const followUp = amendmentOf(result, remains, request);
    const root = await this.#rootOf(result.build);
    const ancestor = { root, sequence: (await this.#farm.remains(root))?.sequence ?? 0 };
    const { tags, warnings, origin } = await this.#tagsFor(followUp, ancestor, signal);
    return {
      ...followUp,
      origin,
      ancestor,
      spec: normalizeSpec({ ...followUp.spec, tags }),
      warnings,
    };
  }

  /** As it is after a while in which newer builds may have come. Throws `usage` where they want all of its tags. */
  async again(checked: CheckedFollowUp): Promise<CheckedFollowUp> {
    const { tags, warnings } = await this.#ownTags(checked, checked.ancestor);
    return {
      ...checked,
      spec: { ...checked.spec, tags },
      warnings: [...checked.warnings, ...warnings],
    };
  }

  /** Throws `usage` where a newer build wants one of its tags at this moment: to be called as it gets its number. */
  requireNewest({ spec, origin, ancestor }: CheckedFollowUp): void {
    const newer = this.#wanted(spec.tags, ancestor);
    if (newer.size > 0) split([...newer.keys()], newer, refusal(origin, ancestor));
  }

  /** What it may publish, and for an amendment the one list that it adds to: also that of a retried one, as it is by now. */
  async #tagsFor(
    followUp: FollowUp,
    ancestor: Ancestor,
    signal: AbortSignal,
  ): Promise<Tags & Pick<FollowUp, 'origin'>> {
    const own = await this.#ownTags(followUp, ancestor);
    const { origin } = followUp;
    if (origin.type !== 'amend') return { ...own, origin };
    const { tags, warnings, base } = await this.#oneList(own.tags, signal);
    return { tags, warnings: [...own.warnings, ...warnings], origin: { ...origin, base } };
  }

  /** The tags that no newer build has published or is about to. */
  async #ownTags({ spec, origin }: FollowUp, ancestor: Ancestor): Promise<Tags> {
    const { root, sequence } = ancestor;
    const newer = this.#wanted(spec.tags, ancestor);
    for (const tag of spec.tags) {
      const publisher = await this.#farm.publisher(tag);
      if (publisher === undefined || (await this.#rootOf(publisher)) === root) continue;
      const published = await this.#farm.remains(publisher);
      if ((published?.sequence ?? 0) > sequence)
        newer.set(tag, `the newer build ${publisher} has published ${tag}`);
    }
    return split(spec.tags, newer, refusal(origin, ancestor));
  }

  /** Those that a newer build is about to publish, and what to say of them. */
  #wanted(tags: readonly string[], { sequence }: Ancestor): Map<string, string> {
    const newer = this.#farm.submitted().filter((build) => build.sequence > sequence);
    const wanted = new Map(newer.flatMap(({ id, spec }) => spec.tags.map((tag) => [tagKey(tag), id])));
    return new Map(
      tags.flatMap((tag) => {
        const open = wanted.get(tagKey(tag));
        return open === undefined ? [] : [[tag, `build ${open} is about to publish ${tag}`]];
      }),
    );
  }

  /** Those that stand for what the first of them stands for. */
  async #oneList(
    tags: readonly string[],
    signal: AbortSignal,
  ): Promise<Tags & { readonly base: string | undefined }> {
    const found = await Promise.all(
      tags.map(async (text) => {
        const { repository, tag } = finalTag(text, this.#registries);
        return findDigest(repository, tag, { scope: repository.pushScope, signal });
      }),
    );
    const first = found.find((digest) => digest !== undefined);
    const other = new Map<string, string>();
    for (const [index, tag] of tags.entries()) {
      if (found[index] === undefined) other.set(tag, `${tag} is there no more`);
      else if (found[index] !== first) other.set(tag, `${tag} stands for another list by now`);
    }
    return { ...split(tags, other, 'there is nothing to amend'), base: first };
  }

  /** The build whose trees it was made of, however often it was amended since. */
  async #rootOf(build: string): Promise<string> {
    const origin = await this.#originOf(build);
    return origin?.type === 'amend' ? this.#rootOf(origin.build) : build;
  }

  async #originOf(build: string): Promise<Remains['origin']> {
    return this.#farm.origin(build) ?? (await this.#farm.remains(build))?.origin;
  }

  async #isThere(image: VerifiedImage, signal: AbortSignal): Promise<boolean> {
    const repository = this.#registries.repository(parseReference(image.repository));
    const digests = [image, ...(image.attestations ?? [])].map(({ descriptor }) => descriptor.digest);
    const found = await Promise.all(
      digests.map((digest) => findDigest(repository, digest, { scope: repository.pullScope, signal })),
    );
    return found.every((digest, index) => digest === digests[index]);
  }
}

interface Tags {
  readonly tags: readonly string[];
  readonly warnings: readonly string[];
}

function refusal({ type }: Origin, { root }: Ancestor): string {
  return `build ${root} cannot be ${type === 'retry' ? 'retried' : 'amended'}`;
}

/** Those without a reason to leave them alone; throws `usage` where there are no others. */
function split(tags: readonly string[], reasons: ReadonlyMap<string, string>, refusal: string): Tags {
  const kept = tags.filter((tag) => !reasons.has(tag));
  const said = tags.flatMap((tag) => reasons.get(tag) ?? []);
  if (kept.length > 0)
    return { tags: kept, warnings: said.map((reason) => `${reason}: it is left as it is`) };
  throw new ArchfarmError('usage', `${refusal}: ${said.join(', ')}`, {
    hint: 'go on from that build, or build anew with archfarm build',
  });
}

/** Builds that go on from one that has ended, checked against what registries and other builds have done meanwhile. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseReference } from '../../shared/reference.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { amendmentOf, retryOf, type FollowUp } from '../farm/amend.ts';
import type { Remains, VerifiedImage } from '../farm/events.ts';
import type { Farm } from '../farm/farm.ts';
import { finalTag } from '../manifest/tags.ts';
import { findDigest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import { normalizeSpec } from './spec-schema.ts';

export interface AmendRequest {
  readonly platforms: readonly string[];
  readonly allowEmulation: boolean;
}

export interface CheckedFollowUp extends FollowUp {
  /** What is done otherwise than it was asked for. */
  readonly warnings: readonly string[];
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
    const { tags, warnings } = await this.#ownTags(followUp, { root, sequence: remains?.sequence ?? 0 });
    const entries = Object.entries(followUp.carried ?? {});
    const there = await Promise.all(entries.map(([, image]) => this.#isThere(image, signal)));
    return {
      ...followUp,
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
    const sequence = (await this.#farm.remains(root))?.sequence ?? 0;
    const own = await this.#ownTags(followUp, { root, sequence });
    const same = await this.#oneList(own.tags, signal);
    return {
      ...followUp,
      spec: normalizeSpec({ ...followUp.spec, tags: same.tags }),
      warnings: [...own.warnings, ...same.warnings],
    };
  }

  /** The tags that no newer build has published or is about to. */
  async #ownTags(
    { spec, origin }: FollowUp,
    { root, sequence }: { readonly root: string; readonly sequence: number },
  ): Promise<Tags> {
    const newer = new Map<string, string>();
    for (const tag of spec.tags) {
      const open = this.#farm
        .submitted()
        .find((build) => build.sequence > sequence && build.spec.tags.includes(tag));
      if (open !== undefined) newer.set(tag, `build ${open.id} is about to publish ${tag}`);
      const publisher = await this.#farm.publisher(tag);
      if (publisher === undefined || (await this.#rootOf(publisher)) === root) continue;
      const published = await this.#farm.remains(publisher);
      if ((published?.sequence ?? 0) > sequence)
        newer.set(tag, `the newer build ${publisher} has published ${tag}`);
    }
    const verb = origin.type === 'retry' ? 'retried' : 'amended';
    return split(spec.tags, newer, `build ${root} cannot be ${verb}`);
  }

  /** Those that stand for what the first of them stands for. */
  async #oneList(tags: readonly string[], signal: AbortSignal): Promise<Tags> {
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
    return split(tags, other, 'there is nothing to amend');
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

/** Those without a reason to leave them alone; throws `usage` where there are no others. */
function split(tags: readonly string[], reasons: ReadonlyMap<string, string>, refusal: string): Tags {
  const kept = tags.filter((tag) => !reasons.has(tag));
  const said = [...reasons.values()];
  if (kept.length > 0)
    return { tags: kept, warnings: said.map((reason) => `${reason}: it is left as it is`) };
  throw new ArchfarmError('usage', `${refusal}: ${said.join(', ')}`, {
    hint: 'go on from that build, or build anew with archfarm build',
  });
}

/** Tags for the images of a list, `latest-arm64v8`: some registries collect what has none, lists notwithstanding. */
import type { PublishEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { childTag } from '../farm/task.ts';
import { findDigest, putManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import { platformOf } from './list.ts';
import type { Staging } from './staging.ts';
import { tagName, type FinalTag } from './tags.ts';
import { together } from './together.ts';

export interface TagChildrenOptions {
  readonly registries: Registries;
  readonly staging: Staging;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PublishEvent) => void;
}

/** Beside each of `tags`. Nothing orders them: as with all suffixed tags, the last to write has them. */
export async function tagChildren(
  children: readonly VerifiedImage[],
  tags: readonly FinalTag[],
  { registries, staging, signal, onEvent }: TagChildrenOptions,
): Promise<void> {
  const wanted = tags.flatMap((final) =>
    children.map((child) => {
      const tag = childTag(tagName(final), platformOf(child.platform));
      return { repository: final.repository, child, tag };
    }),
  );
  await together(
    wanted,
    async ({ repository, child, tag }, signal) => {
      const { digest } = child.descriptor;
      const scope = repository.pushScope;
      if ((await findDigest(repository, tag, { scope, signal })) === digest) return;
      await staging.bring(child, [repository]);
      const from = registries.repository(parseReference(child.repository));
      const manifest = await registries.manifest(from, digest, signal);
      await putManifest(repository, manifest, { reference: tag, signal });
      onEvent({
        type: 'publish',
        time: Date.now(),
        action: 'tag',
        reference: repository.reference(tag),
        digest,
      });
    },
    signal,
  );
}

/** A published list with some of its platforms added or replaced; all that it says of the others stays as it is. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, samePlatform } from '../../shared/platform.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { noAnnotations, type Annotations } from '../project/annotations.ts';
import type { Registries } from '../registry/registries.ts';
import { parseList, type Manifest } from './document.ts';
import { platformOf } from './list.ts';
import { lookUp } from './lookup.ts';
import { isList, ociIndex } from './media-types.ts';
import type { Publication } from './publish.ts';
import { readSource, type SourceImage } from './sources.ts';

/**
 * The publication of the list that the first tag stands for now, with these children in it. Throws `not-found` when the
 * tag is gone.
 */
export async function amendedPublication(
  publication: Publication,
  registries: Registries,
  signal: AbortSignal,
): Promise<Publication> {
  const { children, tags, annotations = noAnnotations } = publication;
  const { repository, name, manifest } = await lookUp(tags[0] ?? '', registries, signal);
  // By digest, as the tag may move meanwhile.
  const image = repository.reference(manifest.digest);
  const listed = await readSource({ image }, { registries, attestations: 'keep', signal });
  const said = isList(manifest.mediaType) ? annotationsIn(manifest, name) : {};
  return {
    ...publication,
    children: withChildren(
      listed.map((source) => source.image),
      children,
    ),
    // What an earlier run of this publication put there is what it would put there again.
    platforms: undefined,
    type: manifest.mediaType === ociIndex ? 'oci' : publication.type,
    annotations: annotationsOf(listed, { index: said, own: annotations, added: children }),
  };
}

/** Each in the place of the one that it replaces, or at the end. Throws `usage` where two would be of one platform. */
export function withChildren(
  listed: readonly VerifiedImage[],
  added: readonly VerifiedImage[],
): readonly VerifiedImage[] {
  const replaced = listed.map((old) => {
    const fresh = added.filter((image) => samePlatform(platformOf(image.platform), platformOf(old.platform)));
    return fresh[0] ?? old;
  });
  const children = [...replaced, ...added.filter((image) => !replaced.includes(image))];
  const twice = added.find((image) => children.filter((child) => child === image).length > 1);
  if (twice === undefined) return children;
  const platform = formatPlatform(platformOf(twice.platform));
  throw new ArchfarmError('usage', `the published list has several images for ${platform}`, {
    hint: 'archfarm push from-spec makes a list of chosen images',
  });
}

function annotationsOf(
  listed: readonly SourceImage[],
  {
    index,
    own,
    added,
  }: {
    index: Readonly<Record<string, string>>;
    own: Annotations;
    added: readonly VerifiedImage[];
  },
): Annotations {
  const kept = listed.map(({ image, annotations = {} }) => [nameOf(image), annotations] as const);
  const fresh = added.map((image) => {
    return [nameOf(image), { ...own.everyPlatform, ...own.platforms[nameOf(image)] }] as const;
  });
  return { index, everyPlatform: {}, platforms: Object.fromEntries([...kept, ...fresh]) };
}

const annotated = v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) });

function annotationsIn(manifest: Manifest, name: string): Readonly<Record<string, string>> {
  const parsed = v.safeParse(annotated, parseList(manifest, name));
  return parsed.success ? parsed.output.annotations : {};
}

function nameOf({ platform }: VerifiedImage): string {
  return formatPlatform(platformOf(platform));
}

/** A published list with some of its platforms added or replaced; all that it says of the others stays as it is. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, samePlatform } from '../../shared/platform.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { noAnnotations, type Annotations } from '../project/annotations.ts';
import { findDigest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import { parseList, type Manifest } from './document.ts';
import { platformOf, type ListedImage } from './list.ts';
import { lookUp } from './lookup.ts';
import { isList, ociIndex } from './media-types.ts';
import type { Publication } from './publish.ts';
import { readSource } from './sources.ts';
import { finalTag } from './tags.ts';
import { together } from './together.ts';

export interface AmendOptions {
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
}

/**
 * The publication of the list that the first tag stands for now, with these children in it. Other tags that stand for
 * another list are left alone, with a warning. Throws `not-found` when the first tag is gone.
 */
export async function amendedPublication(
  publication: Publication,
  registries: Registries,
  { signal, onWarning }: AmendOptions,
): Promise<Publication> {
  const { children, tags, annotations = noAnnotations } = publication;
  const { repository, name, manifest } = await lookUp(tags[0] ?? '', registries, signal);
  // By digest, as the tag may move meanwhile.
  const image = repository.reference(manifest.digest);
  const [listed, others] = await Promise.all([
    readSource({ image }, { registries, attestations: 'keep', signal }),
    // Where an earlier run of this publication began to move them, it had looked.
    publication.previous === undefined ? digestsOf(tags.slice(1), registries, signal) : [],
  ]);
  const elsewhere = tags
    .slice(1)
    .filter((_, index) => (others[index] ?? manifest.digest) !== manifest.digest);
  for (const tag of elsewhere)
    onWarning(`${tag} stands for another list than ${tags[0]} by now, and is left alone`);
  return {
    ...publication,
    tags: tags.filter((tag) => !elsewhere.includes(tag)),
    children: withChildren(
      listed.map(({ image, annotations }) => ({ ...image, annotations })),
      children.map((image) => ({ ...image, annotations: annotationsFor(image, annotations) })),
    ),
    // What an earlier run of this publication put there is what it would put there again.
    platforms: undefined,
    type: manifest.mediaType === ociIndex ? 'oci' : publication.type,
    annotations: {
      ...noAnnotations,
      index: isList(manifest.mediaType) ? annotationsIn(manifest, name) : {},
    },
  };
}

function digestsOf(
  tags: readonly string[],
  registries: Registries,
  signal: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  return together(
    tags.map((text) => finalTag(text, registries)),
    ({ repository, tag }, signal) => findDigest(repository, tag, { scope: repository.pushScope, signal }),
    signal,
  );
}

/** Each in the place of the one that it replaces, or at the end. Throws `usage` where two would be of one platform. */
export function withChildren(
  listed: readonly ListedImage[],
  added: readonly ListedImage[],
): readonly ListedImage[] {
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

function annotationsFor(
  { platform }: VerifiedImage,
  { everyPlatform, platforms }: Annotations,
): Readonly<Record<string, string>> {
  return { ...everyPlatform, ...platforms[formatPlatform(platformOf(platform))] };
}

const annotated = v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) });

function annotationsIn(manifest: Manifest, name: string): Readonly<Record<string, string>> {
  const parsed = v.safeParse(annotated, parseList(manifest, name));
  return parsed.success ? parsed.output.annotations : {};
}

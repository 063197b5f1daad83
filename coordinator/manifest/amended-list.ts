/** A published list with some of its platforms added or replaced; all that it says of the others stays as it is. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, samePlatform } from '../../shared/platform.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { noAnnotations, type Annotations } from '../project/annotations.ts';
import type { Registries } from '../registry/registries.ts';
import { parseList, type Manifest } from './document.ts';
import { platformOf, type ListedImage } from './list.ts';
import { lookUp, type Found } from './lookup.ts';
import { isList, ociIndex } from './media-types.ts';
import type { Publication } from './publication.ts';
import { readSource, type SourceImage } from './sources.ts';
import { finalTag } from './tags.ts';

/**
 * The publication of the list that it is to add to, with these children in it: where nobody has said which, of what the
 * first tag stands for now. Throws `not-found` when that is gone.
 */
export async function amendedPublication(
  publication: Publication,
  registries: Registries,
  signal: AbortSignal,
): Promise<Publication> {
  const { children, tags, previous, annotations = noAnnotations } = publication;
  // Where an earlier run has moved tags already, it has stored what they stood for.
  const base = publication.base ?? Object.values(previous ?? {})[0];
  const { found, listed } = await readBase({ tags, base }, registries, signal);
  const { name, manifest } = found;
  return {
    ...publication,
    base: manifest.digest,
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

interface Base {
  readonly found: Found;
  readonly listed: readonly SourceImage[];
}

/** From the first repository that gives it: tags in the others may have to go back, whatever is wrong with one. */
async function readBase(
  { tags, base }: { readonly tags: readonly string[]; readonly base: string | undefined },
  registries: Registries,
  signal: AbortSignal,
): Promise<Base> {
  if (base === undefined) return readList(tags[0] ?? '', registries, signal);
  const repositories = tags.map((tag) => finalTag(tag, registries).repository);
  let failure: unknown;
  for (const name of new Set(repositories.map((repository) => repository.reference(base)))) {
    try {
      return await readList(name, registries, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}

async function readList(text: string, registries: Registries, signal: AbortSignal): Promise<Base> {
  const found = await lookUp(text, registries, signal);
  // By digest, as the tag may move meanwhile.
  const image = found.repository.reference(found.manifest.digest);
  return { found, listed: await readSource({ image }, { registries, attestations: 'keep', signal }) };
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

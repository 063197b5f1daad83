/** What a tag stands for at a moment: read to compare, never to find what to publish. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseReference } from '../../shared/reference.ts';
import { getAnyManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { Repository } from '../registry/repository.ts';
import { isAttestation, parseImage, parseList, type Manifest, type PlatformFields } from './document.ts';
import { imagePlatform } from './lookup.ts';
import { isList } from './media-types.ts';
import { comparedPlatform } from './platform-loss.ts';

export interface FinalTag {
  readonly repository: Repository;
  readonly tag: string;
}

export interface TagState {
  /** Undefined where there is no such tag. */
  readonly manifest: Manifest | undefined;
  /** As they are compared; attestations are none, and neither is an entry that names none. */
  readonly platforms: readonly string[];
  /** Digests of all that its list names. */
  readonly children: ReadonlySet<string>;
}

const nothing: TagState = { manifest: undefined, platforms: [], children: new Set() };

/** Throws `usage` for a digest. */
export function finalTag(text: string, registries: Registries): FinalTag {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new ArchfarmError('usage', `cannot publish as ${text}: a digest is not a name to choose`);
  }
  return { repository: registries.repository(reference), tag: reference.tag ?? 'latest' };
}

export function tagName({ repository, tag }: FinalTag): string {
  return repository.reference(tag);
}

/** One request, and one more where a single image has the tag. */
export async function readTag({ repository, tag }: FinalTag, signal: AbortSignal): Promise<TagState> {
  // With the right to push: some registries deny a repository that does not exist yet to those who may only pull.
  const manifest = await getAnyManifest(repository, tag, { scope: repository.pushScope, signal });
  if (manifest === undefined) return nothing;
  const name = repository.reference(tag);
  try {
    if (!isList(manifest.mediaType)) {
      parseImage(manifest, name);
      const platform = await imagePlatform({ repository, name, manifest }, signal);
      return { manifest, platforms: [format(platform)], children: new Set() };
    }
    const { manifests } = parseList(manifest, name);
    const platforms = manifests.filter((entry) => !isAttestation(entry)).map(({ platform }) => platform);
    return {
      manifest,
      platforms: platforms.filter((platform) => platform !== undefined).map(format),
      children: new Set(manifests.map(({ digest }) => digest)),
    };
  } catch (error) {
    if (!isUnusable(error)) throw error;
    // What nobody can run loses nothing.
    return { manifest, platforms: [], children: new Set() };
  }
}

/** Content that is no image, or whose config is gone; not a registry that is away or refuses. */
function isUnusable(error: unknown): boolean {
  if (!(error instanceof ArchfarmError) || error.code !== 'registry-error') return false;
  return !(error instanceof RegistryError) || error.status === 404;
}

function format({ os, architecture, variant, 'os.version': osVersion }: PlatformFields): string {
  return comparedPlatform({ os, architecture, ...(variant ? { variant } : {}) }, osVersion);
}

/** Publishes a list of images that are in registries already, wherever they are. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform } from '../../shared/platform.ts';
import {
  attestationMode,
  noAnnotations,
  type AttestationMode,
  type ListType,
} from '../project/annotations.ts';
import type { Registries } from '../registry/registries.ts';
import { withVariant } from './given-platform.ts';
import { platformOf, type ListedImage } from './list.ts';
import { dockerManifest } from './media-types.ts';
import { comparedPlatform } from './platform-loss.ts';
import { publish, type Published } from './publish.ts';
import { readSource, type Source, type SourceImage } from './sources.ts';
import { Staging } from './staging.ts';
import { together } from './together.ts';

export interface ListToPush {
  readonly names: readonly string[];
  readonly sources: readonly Source[];
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly type: ListType;
  /** Absent: kept where the list can hold them. */
  readonly attestations?: AttestationMode | undefined;
  /** Publish without the sources that do not exist. */
  readonly ignoreMissing: boolean;
  /** The names may lose platforms. */
  readonly force: boolean;
}

export interface PushListOptions {
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
}

export interface PushedList extends Published {
  readonly images: readonly SourceImage[];
}

/** These commands tell the result alone. */
const onEvent = (): void => {};

/** Throws `not-found`, `platform-loss`, `usage` for images that no one list can hold, and what registries answer. */
export async function pushList(
  list: ListToPush,
  registries: Registries,
  { signal, onWarning }: PushListOptions,
): Promise<PushedList> {
  const { names, type, annotations: index = {} } = list;
  await using staging = new Staging(names, { registries, signal, onEvent });
  // Meanwhile.
  staging.look();
  const { images: all, missing } = await readSources(list, registries, { signal, onWarning });
  const images = oneForEach(all);
  checkTypes(images, type, onWarning);
  // A Docker list has no place for them.
  const children = images.map(({ image, annotations }): ListedImage =>
    type === 'docker' ? image : { ...image, annotations },
  );
  const published = await publish(
    {
      children,
      tags: names,
      platforms: [...children.map(({ platform }) => platform), ...missing].map((platform) =>
        comparedPlatform(platformOf(platform), platform.osVersion),
      ),
      type,
      annotations: { ...noAnnotations, index },
      force: list.force,
    },
    registries,
    { signal, onEvent, onWarning, staging },
  );
  return { ...published, images };
}

async function readSources(
  { sources, type, attestations, ignoreMissing }: ListToPush,
  registries: Registries,
  { signal, onWarning }: PushListOptions,
): Promise<{ images: SourceImage[]; missing: ListedImage['platform'][] }> {
  const mode = attestationMode({ type, attestations });
  const missing: ListedImage['platform'][] = [];
  const read = await together(
    sources,
    async (source, signal) => {
      try {
        return await readSource(source, { registries, attestations: mode, signal });
      } catch (error) {
        if (!ignoreMissing || !(error instanceof ArchfarmError) || error.code !== 'not-found') throw error;
        onWarning(`${error.message}: published without it`);
        const { os = 'linux', architecture, variant, osVersion } = source.platform ?? {};
        if (architecture !== undefined)
          missing.push({ ...withVariant({ os, architecture, variant }), osVersion });
        return [];
      }
    },
    signal,
  );
  const images = read.flat();
  if (images.length > 0) return { images, missing };
  throw new ArchfarmError('not-found', 'nothing to publish: none of its images exists', {
    hint: 'check the names and tags, and that you are signed in where the images are private',
  });
}

/** Each once. A client takes the first that fits its platform: another one would be there for nobody. */
function oneForEach(images: readonly SourceImage[]): SourceImage[] {
  const seen = new Map<string, SourceImage>();
  for (const each of images) {
    const { osVersion = '', osFeatures = [] } = each.image.platform;
    const platform = formatPlatform(platformOf(each.image.platform));
    const key = [platform, osVersion, ...osFeatures.toSorted()].join(' ');
    const twin = seen.get(key);
    if (twin !== undefined && twin.image.descriptor.digest !== each.image.descriptor.digest) {
      throw new ArchfarmError('usage', `${twin.name} and ${each.name} are both for ${platform}`, {
        hint: 'a list holds one image for each platform: leave one out, or say what sets it apart',
      });
    }
    if (twin === undefined) seen.set(key, each);
  }
  return [...seen.values()];
}

function checkTypes(
  images: readonly SourceImage[],
  type: ListType,
  onWarning: (message: string) => void,
): void {
  const other = images.find(({ image }) => image.descriptor.mediaType !== dockerManifest);
  if (other === undefined) return;
  if (type === 'docker') {
    throw new ArchfarmError('usage', `${other.name} is an OCI image, and a Docker manifest list holds none`, {
      hint: 'use --type oci, or auto',
    });
  }
  const docker = images.find(({ image }) => image.descriptor.mediaType === dockerManifest);
  if (docker === undefined) return;
  onWarning(
    `${docker.name} is a Docker image and ${other.name} an OCI one: some registries refuse such lists`,
  );
}

/** What an agent is told of one platform of a build. */
import type { TreeId } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { parsePlatform, platformSuffix, type Platform } from '../../shared/platform.ts';
import { formatReference, parseReference, suffixedReference } from '../../shared/reference.ts';
import { treesOf, type Task } from '../../shared/task.ts';
import type { BuildSpec } from '../project/spec.ts';

/** Characters, as distribution's grammar has it. */
const maxTag = 128;

export interface TaskId {
  readonly build: string;
  readonly platform: string;
}

/** Where the image of a platform is pushed: the first tag's name with the platform's suffix. */
export function platformImage(spec: Pick<BuildSpec, 'tags' | 'suffix'>, platform: string): string {
  const [first = ''] = spec.tags;
  return withSuffix(first, platform, spec.suffix);
}

function withSuffix(reference: string, platform: string, where: BuildSpec['suffix']): string {
  const suffix = platformSuffix(parsePlatform(platform));
  return formatReference(suffixedReference(parseReference(reference), suffix, where));
}

/** The tag of a platform's image beside a final one, `latest-arm64v8`. Throws `usage` where that is too long for a tag. */
export function childTag(reference: string, platform: Platform): string {
  const { tag = 'latest' } = parseReference(reference);
  const suffixed = `${tag}-${platformSuffix(platform)}`;
  if (suffixed.length <= maxTag) return suffixed;
  throw new ArchfarmError(
    'usage',
    `--child-tags would tag an image ${suffixed}, beside ${reference}: a tag has at most ${maxTag} characters, this one has ${suffixed.length}`,
    { hint: `shorten the tag by ${suffixed.length - maxTag}, or build without --child-tags` },
  );
}

/** Throws `usage` for what could not be published in the end. */
export function requireChildTags(
  { tags, childTags }: Pick<BuildSpec, 'tags' | 'childTags'>,
  platforms: readonly string[],
): void {
  if (!childTags) return;
  for (const platform of platforms) for (const tag of tags) childTag(tag, parsePlatform(platform));
}

/** All trees of a build, those of single platforms too, each once. */
export function specTrees(spec: BuildSpec): TreeId[] {
  const own = Object.values(spec.perPlatform ?? {}).flatMap(({ dockerfile }) => dockerfile?.root ?? []);
  const all: TreeId[] = [...treesOf(spec), ...own.map((root) => ({ root }))];
  return [...new Map(all.map((tree) => [`${tree.root} ${tree.times?.digest}`, tree])).values()];
}

export function taskOf(spec: BuildSpec, { build, platform }: TaskId): Task {
  const override = spec.perPlatform?.[platform];
  const { root, name } = override?.dockerfile ?? spec.dockerfile;
  const args = { ...spec.args, ...override?.args };
  const { registry, repository } = parseReference(spec.tags[0] ?? '');
  return {
    build,
    platform,
    image: platformImage(spec, platform),
    context: { root: spec.context.root, times: spec.context.times, name: spec.context.name },
    // What it names as its frontend the agent reads for itself.
    dockerfile: { root, name },
    contexts: spec.contexts,
    // The one way to have an engine put its cache into the image.
    args: spec.inlineCache ? { ...args, BUILDKIT_INLINE_CACHE: '1' } : args,
    labels: { ...spec.labels, ...override?.labels },
    target: override?.target ?? spec.target,
    noCache: spec.noCache,
    pull: spec.pull,
    network: spec.network,
    extraHosts: spec.extraHosts,
    cacheFrom: spec.cacheFrom.map((reference) => withSuffix(reference, platform, spec.suffix)),
    secrets: spec.secrets,
    ssh: spec.ssh,
    test: spec.test,
    contextKey: `${registry}/${repository} ${spec.context.name}`,
  };
}

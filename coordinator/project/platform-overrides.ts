/** `per-platform` in `x-archfarm`: what is different on one platform. */
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import type { ContextSource } from './context-source.ts';
import { dockerfileIn } from './dockerfile-source.ts';
import type { Environment } from './interpolate.ts';
import { checkKeys, type KnownKeys } from './known-keys.ts';
import { layersAt, uppermostText, type Layer } from './layers.ts';
import { argumentsAt, labelsAt } from './pairs.ts';
import type { DockerfileSource, PlatformOverride, PlatformOverrides } from './spec.ts';

interface Surroundings {
  readonly context: ContextSource;
  /** As written; none means those of whoever is there to build. */
  readonly platforms: readonly string[];
  /** Those that come to them, if there are any. */
  readonly optional: readonly string[];
  readonly environment: Environment;
}

const overrideKeys: KnownKeys = { supported: ['args', 'dockerfile', 'target', 'labels'] };

export function readPlatformOverrides(
  extension: readonly Layer[],
  { context, platforms, optional, environment }: Surroundings,
): PlatformOverrides<DockerfileSource> {
  const built = platforms.length === 0 ? [] : [...new Set([...platforms.map(normalized), ...optional])];
  const overrides = new Map<string, Layer[]>();
  for (const { value: section, directory } of layersAt(extension, 'per-platform')) {
    const seen = new Set<string>();
    for (const [name, value] of section.entries()) {
      const platform = value.place(() => normalized(name));
      if (seen.has(platform)) throw value.error(`${platform} is there already, in another spelling`);
      if (built.length > 0 && !built.includes(platform)) {
        throw value.error(`${platform} is not built`, `the platforms are ${built.join(', ')}`);
      }
      seen.add(platform);
      checkKeys(value, overrideKeys);
      overrides.set(platform, [...(overrides.get(platform) ?? []), { value, directory }]);
    }
  }
  return Object.fromEntries(
    [...overrides].map(([platform, layers]) => [platform, readOverride(layers, context, environment)]),
  );
}

function readOverride(
  layers: readonly Layer[],
  context: ContextSource,
  environment: Environment,
): PlatformOverride<DockerfileSource> {
  const dockerfile = uppermostText(layers, 'dockerfile');
  const target = uppermostText(layers, 'target');
  const args = argumentsAt(layers, 'args', environment);
  const labels = labelsAt(layers, 'labels');
  return {
    ...(Object.keys(args).length > 0 && { args }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(target !== undefined && { target }),
    ...(dockerfile !== undefined && { dockerfile: dockerfileIn(context, dockerfile) }),
  };
}

function normalized(text: string): string {
  return formatPlatform(parsePlatform(text));
}

/** The `build` section of a Compose service (https://docs.docker.com/reference/compose-file/build/). */
import path from 'node:path';
import { parsePlatform } from '../../shared/platform.ts';
import { contextsAt } from './additional-contexts.ts';
import { isAlmostExtension, readExtension } from './archfarm-extension.ts';
import { checkCacheTarget, readCacheSource } from './cache-references.ts';
import { parseGitSource, type ContextSource } from './context-source.ts';
import { dockerfileIn } from './dockerfile-source.ts';
import { extraHostsAt } from './extra-hosts.ts';
import { finalTag } from './final-tag.ts';
import type { Environment } from './interpolate.ts';
import { checkKeys, type KnownKeys } from './known-keys.ts';
import {
  checkedTexts,
  itemsAt,
  layersAt,
  uppermost,
  uppermostFlag,
  uppermostText,
  type Layer,
} from './layers.ts';
import { parseSsh } from './mounts.ts';
import { networkAt } from './network.ts';
import { argumentsAt, labelsAt, pairsAt } from './pairs.ts';
import type { ProjectBuild } from './project-build.ts';
import type { DockerfileSource, SecretSource } from './spec.ts';

export interface ServiceSurroundings {
  /** Of the project file: what a context that is not given is. */
  readonly directory: string;
  /** The `secrets` at the top of the project file and what overrides it. */
  readonly secrets: readonly Layer[];
  /** Where arguments without a value and the ssh agent's socket come from. */
  readonly environment: Environment;
  /** Those of the file are not used, and may be wrong. */
  readonly tagsGiven?: boolean | undefined;
}

const buildKeys: KnownKeys = {
  supported: [
    'context', 'dockerfile', 'dockerfile_inline', 'args', 'target', 'platforms', 'tags', 'labels', 'secrets', 'ssh',
    'cache_from', 'cache_to', 'network', 'pull', 'no_cache', 'extra_hosts', 'additional_contexts', 'x-archfarm',
  ], // prettier-ignore
  refused: {
    isolation: {
      why: 'only Windows has kinds of isolation',
      hint: 'remove the key',
      harmless: ['default', ''],
    },
    privileged: {
      why: 'engines run no privileged build steps',
      hint: 'remove the key, and whatever needs it',
      harmless: ['false'],
    },
    entitlements: {
      why: 'engines grant nothing to builds',
      hint: 'remove the key; network: host needs none',
    },
    shm_size: { why: 'not every engine can set it for a build', hint: 'remove the key' },
    ulimits: {
      why: 'not every engine can set them for a build',
      hint: 'set them in the RUN step: ulimit -n …',
    },
    provenance: {
      why: 'attestations are attached by engines as they are configured',
      hint: 'x-archfarm: {attestations: keep|strip|error} says what becomes of them',
      harmless: ['false'],
    },
    sbom: {
      why: 'attestations are attached by engines as they are configured',
      hint: 'x-archfarm: {attestations: keep|strip|error} says what becomes of them',
      harmless: ['false'],
    },
    'x-bake': {
      why: 'read by docker buildx bake alone',
      hint: 'use the keys of build and x-archfarm, and remove it',
    },
  },
  isIgnored: (key) => key.startsWith('x-') && !isAlmostExtension(key),
};

/** Reads and checks a service in its layers; every error says file, line and key. */
export function readServiceBuild(service: readonly Layer[], surroundings: ServiceSurroundings): ProjectBuild {
  const build = layersAt(service, 'build');
  for (const { value } of build) if (!value.isText) checkKeys(value, buildKeys);
  for (const { value } of service) refuseMisspelling(value);

  const { environment } = surroundings;
  const context = readContext(build, surroundings.directory);
  const platforms = checkedTexts(valuesAt(build, 'platforms'), parsePlatform);
  const extension = [...layersAt(service, 'x-archfarm'), ...layersAt(build, 'x-archfarm')];
  return {
    tags: readTags({ service, build }, surroundings.tagsGiven),
    platforms,
    context,
    dockerfile: readDockerfile(build, context),
    contexts: contextsAt(build, 'additional_contexts'),
    args: argumentsAt(build, 'args', environment),
    labels: labelsAt(build, 'labels'),
    target: uppermostText(build, 'target'),
    network: networkAt(build),
    pull: uppermostFlag(build, 'pull'),
    noCache: uppermostFlag(build, 'no_cache'),
    extraHosts: extraHostsAt(build, 'extra_hosts'),
    secrets: itemsAt(build, 'secrets').map(({ value }) => readSecret(value, surroundings.secrets)),
    ssh: pairsAt(build, 'ssh').map(({ name, value, directory }) =>
      parseSsh(value === undefined || value === '' ? name : `${name}=${value}`, {
        cwd: directory,
        environment,
      }),
    ),
    cacheFrom: itemsAt(build, 'cache_from').map(({ value }) =>
      value.read((text) => readCacheSource(text, 'cache_from')),
    ),
    inlineCache: readCacheTargets(build),
    ...readExtension(extension, { context, platforms, environment }),
  };
}

function readTags(
  { service, build }: Readonly<Record<'service' | 'build', readonly Layer[]>>,
  given = false,
): string[] {
  const image = uppermost(service, 'image')?.value;
  const named = image?.optionalText() === undefined ? [] : [image];
  return checkedTexts([...named, ...valuesAt(build, 'tags')], given ? () => {} : finalTag);
}

function valuesAt(layers: readonly Layer[], key: string): Layer['value'][] {
  return itemsAt(layers, key).map(({ value }) => value);
}

function refuseMisspelling(service: Layer['value']): void {
  for (const [key, value] of service.entries()) {
    if (isAlmostExtension(key)) throw value.error('unknown key', 'did you mean x-archfarm?');
  }
}

function readContext(build: readonly Layer[], projectDirectory: string): ContextSource {
  for (const { value, directory } of build.toReversed()) {
    // `build: PATH` is short for `build: {context: PATH}`.
    const text = (value.isText ? value : value.get('context')).optionalText();
    if (text !== undefined) {
      return parseGitSource(text) ?? { type: 'directory', path: path.resolve(directory, text) };
    }
  }
  return { type: 'directory', path: projectDirectory };
}

function readDockerfile(build: readonly Layer[], context: ContextSource): DockerfileSource {
  const inline = uppermost(build, 'dockerfile_inline');
  const text = inline?.value.optionalText();
  const file = uppermostText(build, 'dockerfile');
  if (text === undefined) return dockerfileIn(context, file);
  if (file !== undefined) throw inline!.value.error('not together with dockerfile');
  return { type: 'inline', text };
}

function readCacheTargets(build: readonly Layer[]): boolean {
  const targets = itemsAt(build, 'cache_to');
  for (const { value } of targets) value.read((text) => checkCacheTarget(text, 'cache_to'));
  return targets.length > 0;
}

function readSecret(item: Layer['value'], secrets: readonly Layer[]): SecretSource {
  const name = item.isText ? item.text() : item.get('source').text();
  const id = item.isText ? name : (item.get('target').optionalText() ?? name);
  const definition = uppermost(secrets, name);
  if (definition === undefined) {
    const known = secrets.flatMap(({ value }) => value.entries().map(([key]) => key));
    throw item.error(
      `no secret ${name} at the top of the file`,
      known.length === 0 ? `add secrets: {${name}: {file: …}}` : `known secrets: ${known.join(', ')}`,
    );
  }
  const { value, directory } = definition;
  const file = value.get('file').optionalText();
  if (file !== undefined) return { id, type: 'file', path: path.resolve(directory, file) };
  const variable = value.get('environment').optionalText();
  if (variable === undefined) throw value.error('needs file or environment');
  return { id, type: 'env', variable };
}

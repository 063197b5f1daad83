/** A target of a bake file (https://docs.docker.com/build/bake/reference/). */
import path from 'node:path';
import { parsePlatform } from '../../shared/platform.ts';
import { contextsAt } from './additional-contexts.ts';
import { annotationsAt, readExtension } from './archfarm-extension.ts';
import type { ListType } from './annotations.ts';
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
import { parseSecret, parseSsh } from './mounts.ts';
import { networkAt } from './network.ts';
import { pairsAt } from './pairs.ts';
import { plainBuild, type ProjectBuild } from './project-build.ts';
import type { DockerfileSource, SshSource } from './spec.ts';
import type { YamlValue } from './yaml-value.ts';

const expanded = 'docker buildx bake --print TARGET >FILE.json writes such targets out';

const targetKeys: KnownKeys = {
  supported: [
    'context', 'dockerfile', 'dockerfile-inline', 'args', 'labels', 'tags', 'platforms', 'target', 'secret', 'ssh',
    'cache-from', 'cache-to', 'no-cache', 'pull', 'network', 'contexts', 'inherits', 'extra-hosts', 'annotations',
    'output', 'attest', 'description', 'x-archfarm',
  ], // prettier-ignore
  refused: {
    matrix: { why: 'a matrix makes several targets of one', hint: expanded },
    name: { why: 'only targets with a matrix have names', hint: expanded },
    'no-cache-filter': { why: 'engines leave the cache out for all stages or none', hint: 'use no-cache' },
    call: { why: 'targets are built here, and nothing else', hint: 'remove the key', harmless: ['build'] },
    entitlements: { why: 'engines grant nothing to builds', hint: 'remove the key; network host needs none' },
    'shm-size': { why: 'not every engine can set it for a build', hint: 'remove the key' },
    ulimits: {
      why: 'not every engine can set them for a build',
      hint: 'set them in the RUN step: ulimit -n …',
    },
  },
  isIgnored: (key) => key === '//',
};

interface TargetSurroundings {
  readonly directory: string;
  readonly environment: Environment;
  /** Those of the file are not used, and may be wrong. */
  readonly tagsGiven?: boolean | undefined;
}

/** Reads and checks a target in its layers, what it inherits below; every error says file, line and key. */
export function readBakeTarget(
  layers: readonly Layer[],
  { directory, environment, tagsGiven = false }: TargetSurroundings,
): ProjectBuild {
  for (const { value } of layers) checkKeys(value, targetKeys);
  const type = readOutputs(layers);
  const from = { cwd: directory, environment };
  const context = readContext(layers, directory);
  const platforms = checkedTexts(uppermostItems(layers, 'platforms'), parsePlatform);
  // docker buildx passes over it.
  const extension = layersAt(layers, 'x-archfarm');
  const own = readExtension(extension, { context, platforms, environment });
  return {
    ...plainBuild(context),
    ...own,
    type: own.type ?? type,
    tags: checkedTexts(uppermostItems(layers, 'tags'), tagsGiven ? () => {} : finalTag),
    platforms,
    dockerfile: readDockerfile(layers, context),
    contexts: contextsAt(layers, 'contexts'),
    args: setAt(layers, 'args'),
    labels: setAt(layers, 'labels'),
    target: uppermostText(layers, 'target'),
    network: networkAt(layers),
    pull: uppermostFlag(layers, 'pull'),
    noCache: uppermostFlag(layers, 'no-cache'),
    extraHosts: extraHostsAt(layers, 'extra-hosts'),
    secrets: itemsAt(layers, 'secret').map(({ value }) =>
      value.place(() => parseSecret(fieldsOf(value), from)),
    ),
    ssh: itemsAt(layers, 'ssh').map(({ value }) => readSsh(value, from)),
    cacheFrom: itemsAt(layers, 'cache-from').map(({ value }) =>
      value.place(() => readCacheSource(fieldsOf(value), 'cache-from')),
    ),
    inlineCache: readCacheTargets(layers),
    annotations: annotationsAt([...layers, ...extension]),
  };
}

/** Lists that replace each other. */
function uppermostItems(layers: readonly Layer[], key: string): YamlValue[] {
  return uppermost(layers, key)?.value.items() ?? [];
}

/** Null leaves a value as it is below. */
function setAt(layers: readonly Layer[], key: string): Record<string, string> {
  return Object.fromEntries(
    pairsAt(layers, key)
      .map(({ name, value }) => [name, value] as const)
      .filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A text as buildx's flags have it, or an object with the same fields. */
function fieldsOf(value: YamlValue): string {
  if (value.isText) return value.text();
  return value
    .entries()
    .map(([name, field]) => `${name}=${field.text()}`)
    .join(',');
}

function readContext(layers: readonly Layer[], directory: string): ContextSource {
  const text = uppermostText(layers, 'context') ?? '.';
  return parseGitSource(text) ?? { type: 'directory', path: path.resolve(directory, text) };
}

function readDockerfile(layers: readonly Layer[], context: ContextSource): DockerfileSource {
  const text = uppermostText(layers, 'dockerfile-inline');
  if (text !== undefined) return { type: 'inline', text };
  return dockerfileIn(context, uppermostText(layers, 'dockerfile'));
}

function readSsh(value: YamlValue, from: Parameters<typeof parseSsh>[1]): SshSource {
  if (value.isText) return parseSsh(value.text(), from);
  const id = value.get('id').optionalText() ?? 'default';
  const [socket, more] = value.get('paths').items();
  if (more !== undefined) throw more.error('a mount has one socket', 'name that of an ssh agent');
  return parseSsh(socket === undefined ? id : `${id}=${socket.text()}`, from);
}

function readCacheTargets(layers: readonly Layer[]): boolean {
  const targets = uppermostItems(layers, 'cache-to');
  for (const value of targets) value.place(() => checkCacheTarget(fieldsOf(value), 'cache-to'));
  return targets.length > 0;
}

/**
 * Publishing is all that is done with what is built, as the kind of list that is given back; engines attach
 * attestations as they are configured.
 */
function readOutputs(layers: readonly Layer[]): ListType | undefined {
  let type: ListType | undefined;
  for (const output of uppermostItems(layers, 'output')) {
    for (const field of fieldsOf(output).split(',')) {
      const [, oci] = /^oci-mediatypes=(true|false)$/.exec(field) ?? [];
      if (oci !== undefined) type = oci === 'true' ? 'oci' : 'docker';
      else if (!/^(?:type=(?:registry|image)|push=true)$/.test(field)) {
        throw output.error('what is built is published to a registry, and nowhere else', 'use type=registry');
      }
    }
  }
  for (const { value: attestation } of itemsAt(layers, 'attest')) {
    if (/(^|,)disabled=true(,|$)/.test(fieldsOf(attestation))) continue;
    throw attestation.error(
      'attestations are attached by engines as they are configured',
      'remove the key; --attestations says what becomes of those that engines attach',
    );
  }
  return type;
}

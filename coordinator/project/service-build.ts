/** The `build` section of a Compose service (https://docs.docker.com/reference/compose-file/build/). */
import path from 'node:path';
import { closestMatch } from 'leven';
import type { ArchfarmError } from '../../shared/errors.ts';
import { readAdditionalContext, type AdditionalContext } from './additional-contexts.ts';
import { parseGitSource, type ContextSource } from './context-source.ts';
import type { Environment } from './interpolate.ts';
import { parseSsh } from './mounts.ts';
import type { DockerfileSource, SecretSource, SshSource } from './spec.ts';
import type { YamlValue } from './yaml-value.ts';

export interface ServiceBuild {
  /** `image`, then `build.tags`, as written. */
  readonly tags: readonly string[];
  readonly platforms: readonly string[];
  /** A path may turn out to be that of an archive. */
  readonly context: ContextSource;
  readonly dockerfile: DockerfileSource;
  readonly contexts: readonly AdditionalContext[];
  readonly args: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly network: string | undefined;
  readonly pull: boolean;
  readonly noCache: boolean;
  readonly extraHosts: readonly string[];
  readonly secrets: readonly SecretSource[];
  readonly ssh: readonly SshSource[];
}

export interface ServiceSurroundings {
  /** Of the project file: what relative paths are relative to. */
  readonly directory: string;
  /** The `secrets` at the top of the project file. */
  readonly secrets: YamlValue;
  /** Where arguments without a value and the ssh agent's socket come from. */
  readonly environment: Environment;
}

const supportedKeys = [
  'context', 'dockerfile', 'dockerfile_inline', 'args', 'target', 'platforms', 'tags', 'labels', 'secrets', 'ssh',
  'network', 'pull', 'no_cache', 'extra_hosts', 'additional_contexts',
]; // prettier-ignore
const laterKeys = ['cache_from', 'cache_to', 'x-archfarm'];

/** Reads and checks the section; every error says file, line and key. */
export function readServiceBuild(service: YamlValue, surroundings: ServiceSurroundings): ServiceBuild {
  const section = service.get('build');
  const build = section.isText ? undefined : section;
  if (build !== undefined) refuseUnknownKeys(build);
  const extension = service.get('x-archfarm');
  if (!extension.isEmpty) throw notYet(extension);

  const at = (key: string): YamlValue | undefined => build?.get(key);
  const context = readContext(at('context') ?? section, surroundings.directory);
  const image = service.get('image').optionalText();
  return {
    tags: [...(image === undefined ? [] : [image]), ...texts(at('tags'))],
    platforms: texts(at('platforms')),
    context,
    dockerfile: readDockerfile(build, context),
    contexts: readContexts(at('additional_contexts'), surroundings.directory),
    args: readArguments(at('args'), surroundings.environment),
    labels: Object.fromEntries(pairs(at('labels')).map(([key, value]) => [key, value ?? ''])),
    target: at('target')?.optionalText(),
    network: at('network')?.optionalText(),
    pull: at('pull')?.flag() ?? false,
    noCache: at('no_cache')?.flag() ?? false,
    extraHosts: readExtraHosts(at('extra_hosts')),
    secrets: (at('secrets')?.items() ?? []).map((item) => readSecret(item, surroundings)),
    ssh: pairs(at('ssh')).map(([id, socket]) =>
      parseSsh(socket === undefined || socket === '' ? id : `${id}=${socket}`, {
        cwd: surroundings.directory,
        environment: surroundings.environment,
      }),
    ),
  };
}

function refuseUnknownKeys(build: YamlValue): void {
  for (const [key, value] of build.entries()) {
    if (supportedKeys.includes(key)) continue;
    if (laterKeys.includes(key)) throw notYet(value);
    const nearest = closestMatch(key, supportedKeys, { maxDistance: 4 });
    throw value.error(
      'unknown key',
      nearest === undefined ? `known keys: ${supportedKeys.join(', ')}` : `did you mean ${nearest}?`,
    );
  }
}

function notYet(value: YamlValue): ArchfarmError {
  return value.error('not supported yet', 'remove the key to build without it');
}

function readContext(context: YamlValue, directory: string): ContextSource {
  const text = context.optionalText() ?? '.';
  return parseGitSource(text) ?? { type: 'directory', path: path.resolve(directory, text) };
}

/** `{NAME: PATH}` or `[NAME=PATH]`. */
function readContexts(contexts: YamlValue | undefined, directory: string): AdditionalContext[] {
  const entries = (contexts?.isList === true ? contexts.items() : []).map((item) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(item.text()) ?? [];
    if (name === undefined || value === undefined) throw item.error('must be NAME=PATH');
    return { at: item, name, value };
  });
  const named = contexts?.isList === true ? [] : (contexts?.entries() ?? []);
  for (const [name, at] of named) entries.push({ at, name, value: at.optionalText() ?? '' });
  return entries.map(({ at, name, value }) => {
    const context = readAdditionalContext(name, value, directory);
    if ('problem' in context) throw at.error(context.problem, context.hint);
    return context;
  });
}

function readDockerfile(build: YamlValue | undefined, context: ContextSource): DockerfileSource {
  const inline = build?.get('dockerfile_inline').optionalText();
  const file = build?.get('dockerfile').optionalText();
  if (inline === undefined) {
    return context.type === 'directory'
      ? { type: 'file', path: path.resolve(context.path, file ?? 'Dockerfile') }
      : { type: 'context', path: file ?? 'Dockerfile' };
  }
  if (file !== undefined) throw build!.get('dockerfile_inline').error('not together with dockerfile');
  return { type: 'inline', text: inline };
}

/** An argument without a value takes that of the environment, and is left out where there is none. */
function readArguments(args: YamlValue | undefined, environment: Environment): Record<string, string> {
  const resolved = pairs(args).map(([key, value]) => [key, value ?? environment[key]] as const);
  return Object.fromEntries(resolved.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function readExtraHosts(hosts: YamlValue | undefined): string[] {
  if (hosts === undefined) return [];
  if (!hosts.isList) {
    return hosts.entries().flatMap(([name, value]) => {
      const addresses = value.isList ? texts(value) : [value.text()];
      return addresses.map((address) => `${name}:${bare(address)}`);
    });
  }
  return hosts.items().map((item) => {
    const [, name, address] = /^([^=:]+)[=:](.+)$/.exec(item.text()) ?? [];
    if (name === undefined || address === undefined) throw item.error('must be NAME=ADDRESS');
    return `${name}:${bare(address)}`;
  });
}

/** The engine takes IPv6 addresses without their brackets. */
function bare(address: string): string {
  return address.replace(/^\[(.*)\]$/, '$1');
}

function readSecret(item: YamlValue, { directory, secrets }: ServiceSurroundings): SecretSource {
  const name = item.isText ? item.text() : item.get('source').text();
  const id = item.isText ? name : (item.get('target').optionalText() ?? name);
  const definition = secrets.get(name);
  if (definition.isEmpty) {
    const known = secrets.entries().map(([key]) => key);
    throw item.error(
      `no secret ${name} at the top of the file`,
      known.length === 0 ? `add secrets: {${name}: {file: …}}` : `known secrets: ${known.join(', ')}`,
    );
  }
  const file = definition.get('file').optionalText();
  if (file !== undefined) return { id, type: 'file', path: path.resolve(directory, file) };
  const variable = definition.get('environment').optionalText();
  if (variable === undefined) throw definition.error('needs file or environment');
  return { id, type: 'env', variable };
}

function texts(list: YamlValue | undefined): string[] {
  return list?.items().map((item) => item.text()) ?? [];
}

/** `{key: value}` or `[key=value, key]`: both forms that Compose takes. No value is not an empty one. */
function pairs(value: YamlValue | undefined): [key: string, value: string | undefined][] {
  if (value === undefined) return [];
  if (!value.isList) {
    return value.entries().map(([key, entry]) => [key, entry.isEmpty ? undefined : entry.text()]);
  }
  return texts(value).map((text) => {
    const equals = text.indexOf('=');
    return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
  });
}

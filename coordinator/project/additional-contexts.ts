/** Directories that a Dockerfile refers to by name: `additional_contexts` of Compose, `--build-context` of buildx. */
import path from 'node:path';
import { parseGitSource } from './context-source.ts';
import type { Layer } from './layers.ts';
import { pairsAt } from './pairs.ts';

export interface AdditionalContext {
  /** Like that of a stage. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

/** Why something is no context. */
export interface ContextProblem {
  readonly problem: string;
  readonly hint: string;
}

/** Names that mean something else wherever a stage can be named. */
const reserved = ['scratch', 'context'];

/** Of what buildx takes, and no engine does without it. */
const otherKinds: readonly (readonly [prefix: string, kind: string, hint: string])[] = [
  ['docker-image:', 'an image', 'name the image in the Dockerfile: FROM IMAGE AS'],
  [
    'oci-layout:',
    'an OCI layout',
    'push the image to a registry, and name it in the Dockerfile: FROM IMAGE AS',
  ],
  [
    'service:',
    'another service',
    'build that service first, and name its image in the Dockerfile: FROM IMAGE AS',
  ],
  [
    'target:',
    'another target',
    'build that target first, and name its image in the Dockerfile: FROM IMAGE AS',
  ],
];

/** `directory`: what a relative path is relative to. */
export function readAdditionalContext(
  name: string,
  value: string,
  directory: string,
): AdditionalContext | ContextProblem {
  return nameProblem(name) ?? kindProblem(name, value) ?? { name, path: path.resolve(directory, value) };
}

/** `{NAME: PATH}` or `[NAME=PATH]` in a project file; an upper layer's goes before a lower one's of its name. */
export function contextsAt(layers: readonly Layer[], key: string): AdditionalContext[] {
  const contexts = pairsAt(layers, key).map(({ name, value, at, directory }) => {
    if (value === undefined && at.isText) throw at.error('must be NAME=PATH');
    const context = readAdditionalContext(name, value ?? '', directory);
    if ('problem' in context) throw at.error(context.problem, context.hint);
    return context;
  });
  return [...new Map(contexts.map((context) => [context.name, context])).values()];
}

function nameProblem(name: string): ContextProblem | undefined {
  if (reserved.includes(name)) {
    return { problem: `an additional context cannot be called ${name}`, hint: 'give it another name' };
  }
  if (name.length <= 128 && /^[a-z][a-z0-9._-]*$/.test(name)) return undefined;
  return {
    problem: `${JSON.stringify(name)} cannot be the name of an additional context, which is used like that of a stage`,
    hint: 'begin with a letter, and use lower case letters, digits, points, dashes and underscores',
  };
}

function kindProblem(name: string, value: string): ContextProblem | undefined {
  if (value === '')
    return { problem: `the additional context ${name} has no path`, hint: 'give a directory' };
  const [, kind, hint] = otherKinds.find(([prefix]) => value.startsWith(prefix)) ?? [];
  if (kind !== undefined && hint !== undefined) {
    return { problem: `the additional context ${name} is ${kind}, not a directory`, hint: `${hint} ${name}` };
  }
  if (parseGitSource(value) === undefined && !/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return undefined;
  return {
    problem: `the additional context ${name} is a URL, not a directory`,
    hint: 'clone or download it, and give the directory',
  };
}

/** `x-archfarm`: what a Compose service has no key for. */
import leven from 'leven';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { attestationModes, listTypes, readAnnotations, type Annotations } from './annotations.ts';
import type { ContextSource } from './context-source.ts';
import { readVerify, type VerifyRequest } from './image-proof.ts';
import { readTest, type TestRequest } from './image-test.ts';
import type { Environment } from './interpolate.ts';
import { checkKeys, type KnownKeys } from './known-keys.ts';
import { itemsAt, uppermost, uppermostFlag, type Layer } from './layers.ts';
import { labelsAt, pairsAt } from './pairs.ts';
import { readPlatformOverrides } from './platform-overrides.ts';
import { parsePriority } from './priority.ts';
import type { ProjectBuild } from './project-build.ts';

type Extension = Pick<
  ProjectBuild,
  | 'suffix'
  | 'type'
  | 'annotations'
  | 'attestations'
  | 'childTags'
  | 'perPlatform'
  | 'test'
  | 'optional'
  | 'agentLabels'
  | 'priority'
  | 'verify'
>;

interface Surroundings {
  readonly context: ContextSource;
  /** As written. */
  readonly platforms: readonly string[];
  readonly environment: Environment;
}

const extensionKeys: KnownKeys = {
  supported: [
    'suffix',
    'type',
    'annotations',
    'attestations',
    'child-tags',
    'per-platform',
    'test',
    'optional',
    'agent-labels',
    'priority',
    'verify',
  ],
};

/** Whether somebody meant `x-archfarm`. */
export function isAlmostExtension(key: string): boolean {
  return key.startsWith('x-') && key !== 'x-archfarm' && leven(key, 'x-archfarm') <= 3;
}

export function readExtension(layers: readonly Layer[], surroundings: Surroundings): Extension {
  for (const { value } of layers) checkKeys(value, extensionKeys);
  const optional = optionalAt(layers);
  return {
    suffix: oneOf(layers, 'suffix', ['repo', 'tag']),
    type: oneOf(layers, 'type', listTypes),
    annotations: annotationsAt(layers),
    attestations: oneOf(layers, 'attestations', attestationModes),
    childTags: uppermostFlag(layers, 'child-tags'),
    perPlatform: readPlatformOverrides(layers, { ...surroundings, optional }),
    test: testAt(layers),
    optional,
    agentLabels: labelsAt(layers, 'agent-labels'),
    priority: priorityAt(layers),
    verify: verifyAt(layers),
  };
}

function testAt(layers: readonly Layer[]): TestRequest | undefined {
  const test = uppermost(layers, 'test')?.value;
  return test === undefined ? undefined : readTest(test);
}

function optionalAt(layers: readonly Layer[]): string[] {
  return itemsAt(layers, 'optional').map(({ value }) =>
    value.read((text) => formatPlatform(parsePlatform(text))),
  );
}

function priorityAt(layers: readonly Layer[]): number | undefined {
  return uppermost(layers, 'priority')?.value.read((text) => parsePriority(text, 'priority'));
}

function verifyAt(layers: readonly Layer[]): VerifyRequest | undefined {
  const verify = uppermost(layers, 'verify')?.value;
  return verify === undefined ? undefined : readVerify(verify);
}

function oneOf<const T extends string>(
  layers: readonly Layer[],
  key: string,
  choices: readonly T[],
): T | undefined {
  const value = uppermost(layers, key)?.value;
  if (value === undefined) return undefined;
  const text = value.text();
  const choice = choices.find((each) => each === text);
  if (choice === undefined) throw value.error(`must be one of ${choices.join(', ')}, not ${text}`);
  return choice;
}

/** `{NAME: VALUE}`, or texts as `--annotation` takes them. */
export function annotationsAt(layers: readonly Layer[], key = 'annotations'): Annotations {
  const texts = pairsAt(layers, key).map(({ name, value, at }) => {
    const text = value === undefined ? name : `${name}=${value}`;
    // Each by itself first, for the sake of the error's place.
    at.place(() => readAnnotations([text], key));
    return text;
  });
  return readAnnotations(texts, key);
}

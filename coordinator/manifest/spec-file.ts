/** The YAML files of manifest-tool, versions 1 and 2: a list and the images that go into it. */
import { readFile, stat } from 'node:fs/promises';
import { closestMatch } from 'leven';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { checkPlatform } from '../../shared/platform.ts';
import { formatReference, parseReference } from '../../shared/reference.ts';
import { parseYaml, type YamlValue } from '../project/yaml-value.ts';
import { withVariant, type GivenPlatform } from './given-platform.ts';
import type { Source } from './sources.ts';

export interface ListSpec {
  /** What is to be published: the image, and the same repository under each of the tags. */
  readonly names: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly sources: readonly Source[];
  /** What the file says and nobody can do. */
  readonly warnings: readonly string[];
}

/** Bytes; far above any file written by hand. */
const maxFileSize = 1024 * 1024;

/** Throws `config`, with the line wherever there is one. */
export async function readSpecFile(path: string): Promise<ListSpec> {
  let text: string;
  try {
    if ((await stat(path)).size > maxFileSize) {
      throw new ArchfarmError('config', `${path} is larger than ${maxFileSize} bytes`);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof ArchfarmError) throw error;
    throw new ArchfarmError('config', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  return parseSpec(path, text);
}

export interface SpecOptions {
  /** Platforms need not be real ones: somebody may still say what they are. */
  readonly lenient?: boolean;
}

/** `path` is for messages. */
export function parseSpec(path: string, text: string, options: SpecOptions = {}): ListSpec {
  const file = parseYaml({ path, text });
  refuseOthers(file, ['image', 'tags', 'annotations', 'manifests']);
  const image = required(file, 'image');
  const manifests = file.get('manifests');
  const sources = manifests.items();
  if (sources.length === 0) throw (manifests.isEmpty ? file : manifests).error('no manifests are given');
  const warnings: string[] = [];
  return {
    names: [
      referenceIn(image),
      ...file
        .get('tags')
        .items()
        .map((tag) => taggedName(image, tag)),
    ],
    annotations: Object.fromEntries(
      file
        .get('annotations')
        .entries()
        .map(([name, value]) => [name, value.text()]),
    ),
    sources: sources.map((source) => readSource(source, warnings, options)),
    warnings,
  };
}

function readSource(source: YamlValue, warnings: string[], options: SpecOptions): Source {
  refuseOthers(source, ['image', 'platform']);
  const image = referenceIn(required(source, 'image'));
  const platform = source.get('platform');
  return platform.isEmpty ? { image } : { image, platform: readPlatform(platform, warnings, options) };
}

/** Every way in which one of the two versions, or the document that is published, spells it. */
const spellings: Readonly<Record<string, keyof GivenPlatform>> = {
  os: 'os',
  architecture: 'architecture',
  variant: 'variant',
  osversion: 'osVersion',
  os_version: 'osVersion',
  'os.version': 'osVersion',
  osfeatures: 'osFeatures',
  os_features: 'osFeatures',
  'os.features': 'osFeatures',
};

function readPlatform(
  platform: YamlValue,
  warnings: string[],
  { lenient = false }: SpecOptions,
): GivenPlatform {
  const values = new Map<keyof GivenPlatform, YamlValue>();
  for (const [key, value] of platform.entries()) {
    if (key === 'features') {
      warnings.push(value.error('features are in no list any more, and are left out').message);
      continue;
    }
    const field = Object.hasOwn(spellings, key) ? spellings[key] : undefined;
    if (field === undefined) throw unknownKey(key, value, Object.keys(spellings));
    if (values.has(field)) throw value.error('is given twice');
    values.set(field, value);
  }
  const text = (field: keyof GivenPlatform): string | undefined => values.get(field)?.optionalText();
  const osFeatures = values.get('osFeatures')?.items() ?? [];
  const given: GivenPlatform = {
    os: text('os'),
    architecture: text('architecture'),
    variant: text('variant'),
    osVersion: text('osVersion'),
    osFeatures: osFeatures.length === 0 ? undefined : osFeatures.map((feature) => feature.text()),
  };
  const { os, architecture, variant } = given;
  if (!lenient && os !== undefined && architecture !== undefined) {
    at(platform, () => checkPlatform(withVariant({ os, architecture, variant })));
  }
  return given;
}

function required(map: YamlValue, key: string): YamlValue {
  const value = map.get(key);
  if (value.isEmpty) throw map.error(`${key} is missing`);
  return value;
}

function referenceIn(value: YamlValue): string {
  const text = value.text();
  at(value, () => parseReference(text));
  return text;
}

function taggedName(image: YamlValue, tag: YamlValue): string {
  const { registry, repository } = parseReference(image.text());
  const name = formatReference({ registry, repository, tag: tag.text() });
  at(tag, () => parseReference(name));
  return name;
}

function refuseOthers(map: YamlValue, keys: readonly string[]): void {
  for (const [key, value] of map.entries()) if (!keys.includes(key)) throw unknownKey(key, value, keys);
}

function unknownKey(key: string, value: YamlValue, keys: readonly string[]): ArchfarmError {
  const nearest = closestMatch(key, keys, { maxDistance: 4 });
  return value.error(
    'unknown key',
    nearest === undefined ? `known keys: ${keys.join(', ')}` : `did you mean ${nearest}?`,
  );
}

/** What is wrong with a value is said with its line. */
function at(value: YamlValue, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ArchfarmError)) throw error;
    throw value.error(error.message, error.hint);
  }
}

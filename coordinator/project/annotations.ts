/** What a published list is, and what is noted on it: `--type`, `--attestations` and `--annotation`. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';

export const listTypes = ['auto', 'docker', 'oci'] as const;
export type ListType = (typeof listTypes)[number];

export const attestationModes = ['keep', 'strip', 'error'] as const;
/** What becomes of the attestations that an engine pushes beside an image. */
export type AttestationMode = (typeof attestationModes)[number];

export interface Annotations {
  /** Of the list itself. */
  readonly index: Readonly<Record<string, string>>;
  /** Of each image in the list. */
  readonly everyPlatform: Readonly<Record<string, string>>;
  /** Of one image in the list, by its formatted platform; these go before those of every platform. */
  readonly platforms: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const noAnnotations: Annotations = { index: {}, everyPlatform: {}, platforms: {} };

/** `index,manifest-descriptor[linux/amd64]:NAME=VALUE`, after buildx; without levels it is the list's. */
const grammar =
  /^(?:(?<levels>[a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):)?(?<name>[^=]+)=(?<value>.*)$/s;
const level = /^(?<kind>[a-z-]+)(?:\[(?<platform>[^\]]*)\])?$/;

/** Later ones replace earlier ones of the same name. Throws `usage` naming the flag (or the key) and its value. */
export function readAnnotations(texts: readonly string[], flag = '--annotation'): Annotations {
  const index: Record<string, string> = {};
  const everyPlatform: Record<string, string> = {};
  const platforms: Record<string, Record<string, string>> = {};
  for (const text of texts) {
    const { levels = 'index', name, value } = grammar.exec(text)?.groups ?? {};
    if (name === undefined || value === undefined) {
      throw new ArchfarmError('usage', `${flag} ${JSON.stringify(text)} is not NAME=VALUE`, {
        hint: 'for one platform: manifest-descriptor[linux/arm64]:NAME=VALUE',
      });
    }
    for (const each of levels.split(',')) {
      const target = readLevel(each, `${flag} ${JSON.stringify(text)}`);
      if (target === 'index') index[name] = value;
      else if (target === 'every') everyPlatform[name] = value;
      else (platforms[target.platform] ??= {})[name] = value;
    }
  }
  return { index, everyPlatform, platforms };
}

function readLevel(text: string, annotation: string): 'index' | 'every' | { platform: string } {
  const { kind, platform } = level.exec(text)?.groups ?? {};
  const refused = (why: string, hint?: string): ArchfarmError =>
    new ArchfarmError('usage', `${annotation}: ${why}`, { hint });
  switch (kind) {
    case 'index':
      if (platform !== undefined) throw refused('the index is that of all platforms');
      return 'index';
    case 'manifest-descriptor':
      return platform === undefined ? 'every' : { platform: formatPlatform(parsePlatform(platform)) };
    case 'manifest':
      throw refused(
        'images are published as their engines pushed them, and cannot be annotated',
        `use ${text.replace('manifest', 'manifest-descriptor')}: for their entries in the list, or a label`,
      );
    case 'index-descriptor':
      throw refused('a list in a registry has no descriptor of its own', 'use index: for the list itself');
    default:
      throw refused(
        `unknown level ${text}`,
        'known: index, manifest-descriptor, manifest-descriptor[PLATFORM]',
      );
  }
}

/** A file may have notes on platforms that a flag leaves out. */
export function onlyOf(annotations: Annotations, platforms: readonly string[]): Annotations {
  if (platforms.length === 0) return annotations;
  const built = Object.entries(annotations.platforms).filter(([platform]) => platforms.includes(platform));
  return { ...annotations, platforms: Object.fromEntries(built) };
}

/** What flags say of every platform goes before what a file says of one. */
export function mergeAnnotations(file: Annotations, flags: Annotations): Annotations {
  const platforms = new Set([...Object.keys(file.platforms), ...Object.keys(flags.platforms)]);
  return {
    index: { ...file.index, ...flags.index },
    everyPlatform: { ...file.everyPlatform, ...flags.everyPlatform },
    platforms: Object.fromEntries(
      [...platforms].map((platform) => [
        platform,
        { ...file.platforms[platform], ...flags.everyPlatform, ...flags.platforms[platform] },
      ]),
    ),
  };
}

export function hasAnnotations({ index, everyPlatform, platforms }: Annotations): boolean {
  return [index, everyPlatform, ...Object.values(platforms)].some((each) => Object.keys(each).length > 0);
}

export interface ListChoices {
  readonly type: ListType;
  readonly annotations: Annotations;
  /** Absent: kept where the list can hold them. */
  readonly attestations?: AttestationMode | undefined;
}

/** Throws `usage` for a Docker list that would have to hold what only an OCI index can. */
export function checkListType({ type, annotations, attestations }: ListChoices): void {
  if (type !== 'docker') return;
  if (hasAnnotations(annotations)) {
    throw new ArchfarmError('usage', 'a Docker manifest list takes no annotations', {
      hint: 'use the type oci, or leave the annotations out',
    });
  }
  if (attestations === 'keep') {
    throw new ArchfarmError('usage', 'a Docker manifest list holds no attestations', {
      hint: 'use the type oci, or strip the attestations',
    });
  }
}

export function attestationMode({ type, attestations }: Omit<ListChoices, 'annotations'>): AttestationMode {
  return attestations ?? (type === 'docker' ? 'strip' : 'keep');
}

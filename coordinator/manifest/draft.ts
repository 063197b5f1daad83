/**
 * A list that is being put together: what docker keeps below ~/.docker/manifests is a file here, and a specification
 * that `push from-spec` takes. Members are pinned by digest, so that what was looked at is what is published.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { checkPlatform } from '../../shared/platform.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';
import { withVariant, type GivenPlatform } from './given-platform.ts';
import type { Source, SourceImage } from './sources.ts';

export interface Draft {
  /** Full name of the list. */
  readonly list: string;
  /** Others of its repository, to be published too: docker has none, a file that was written by hand may. */
  readonly tags: readonly string[];
  /** Of the list itself; as with the tags. */
  readonly annotations: Readonly<Record<string, string>>;
  /** In docker's order. */
  readonly members: readonly Source[];
}

export function newDraft(list: string): Draft {
  return { list: fullName(list), tags: [], annotations: {}, members: [] };
}

/** Full names of all that it is published as. */
export function namesOf({ list, tags }: Draft): string[] {
  const { registry, repository } = parseReference(list);
  return [list, ...tags.map((tag) => formatReference({ registry, repository, tag }))];
}

/** `host/name:tag`, however it was written. */
export function fullName(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}

/** In this directory, unless a file is named; as docker names its own. */
export function draftPath(list: string, file: string | undefined): string {
  return file ?? `${safeName(fullName(list))}.json`;
}

/** Undefined where there is none. Throws `config` for a file that holds something else. */
export async function readDraft(list: string, path: string): Promise<Draft | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new ArchfarmError('config', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  const { parseSpec } = await import('./spec-file.ts');
  const { names, annotations, sources } = parseSpec(path, text, { lenient: true });
  const [first = '', ...others] = names;
  const found = fullName(first);
  const tags = others.map((name) => parseReference(name).tag!);
  if (found === fullName(list)) return { list: found, tags, annotations, members: sources };
  throw new ArchfarmError('config', `${path} holds the list ${found}, not ${fullName(list)}`, {
    hint: 'name another file with --file',
  });
}

/** There is all of the old one or all of the new one. */
export async function writeDraft(path: string, { list, tags, annotations, members }: Draft): Promise<void> {
  const spec = {
    image: list,
    tags: tags.length === 0 ? undefined : tags,
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
    manifests: members.map(({ image, platform }) => ({ image, platform: specFields(platform) })),
  };
  const text = `${JSON.stringify(spec, null, 2)}\n`;
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new ArchfarmError('config', `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** False where there was none. */
export async function removeDraft(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw new ArchfarmError('config', `cannot remove ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** What was read now takes the place of what had the same name. */
export function withMembers(draft: Draft, images: readonly SourceImage[]): Draft {
  const members = new Map(draft.members.map((member) => [memberName(member), member]));
  for (const { name, image } of images) {
    const { digest } = image.descriptor;
    const pinned: Source = {
      image: name.includes('@') ? name : `${name}@${digest}`,
      platform: image.platform,
    };
    members.set(memberName(pinned), pinned);
  }
  return { ...draft, members: inDockerOrder([...members.values()]) };
}

/** By the names of the files that docker would keep. */
export function inDockerOrder(members: readonly Source[]): Source[] {
  return members.toSorted((a, b) => (fileName(a) < fileName(b) ? -1 : 1));
}

function fileName(member: Source): string {
  return safeName(memberName(member));
}

/** Throws `not-found`, naming both as they were written, and `usage` for a platform that there is not. */
export function annotated(
  draft: Draft,
  { list, member }: { readonly list: string; readonly member: string },
  given: GivenPlatform,
): Draft {
  const found = findMember(draft, member);
  if (found === undefined) {
    throw new ArchfarmError('not-found', `manifest for image ${member} does not exist in ${list}`, {
      hint: membersOf(draft),
    });
  }
  const platform = { ...found.platform, ...given };
  const { os, architecture, variant } = platform;
  if (os !== undefined && architecture !== undefined) {
    // By itself first: the variant may be of an architecture that it was annotated with before.
    checkPlatform({ os, architecture });
    checkVariant({ os, architecture, variant }, { member, isGiven: given.variant !== undefined });
  }
  const members = draft.members.map((each) => (each === found ? { ...found, platform } : each));
  return { ...draft, members };
}

function checkVariant(
  fields: Parameters<typeof withVariant>[0],
  { member, isGiven }: { member: string; isGiven: boolean },
): void {
  try {
    checkPlatform(withVariant(fields));
  } catch (error) {
    if (isGiven) throw error;
    throw new ArchfarmError(
      'usage',
      `${fields.architecture} has no variant ${fields.variant}, which ${member} has`,
      { hint: "give its variant too: --variant VARIANT, or --variant '' for none" },
    );
  }
}

/** Throws `not-found`. */
export function memberOf(draft: Draft, name: string): Source {
  const found = findMember(draft, name);
  if (found !== undefined) return found;
  throw new ArchfarmError('not-found', `No such manifest: ${fullName(name)}`, { hint: membersOf(draft) });
}

function findMember({ members }: Draft, name: string): Source | undefined {
  const wanted = fullName(name);
  return members.find((member) => memberName(member) === wanted || member.image === wanted);
}

function membersOf({ list, members }: Draft): string {
  return `${list} has ${members.map(memberName).join(', ') || 'no members'}`;
}

/** As it was named: with its tag where it had one, else with its digest. */
export function memberName({ image }: Source): string {
  const { registry, repository, tag, digest } = withDefaultTag(parseReference(image));
  const which = tag === undefined ? { digest: digest! } : { tag };
  return formatReference({ registry, repository, ...which });
}

function safeName(name: string): string {
  return name.replaceAll(':', '-').replaceAll('/', '_');
}

/** JSON leaves out what is undefined. */
function specFields(platform: GivenPlatform | undefined): Record<string, unknown> {
  const { os, architecture, variant, osVersion, osFeatures } = platform ?? {};
  return {
    os: os || undefined,
    architecture: architecture || undefined,
    variant,
    osversion: osVersion,
    osfeatures: osFeatures,
  };
}

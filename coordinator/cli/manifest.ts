/** `archfarm manifest`: docker's arguments and output; a file takes the place of what docker keeps out of sight. */
import { ArchfarmError } from '../../shared/errors.ts';
import {
  annotated,
  draftPath,
  fullName,
  inDockerOrder,
  namesOf,
  newDraft,
  readDraft,
  removeDraft,
  withMembers,
  writeDraft,
  type Draft,
} from '../manifest/draft.ts';
import type { GivenPlatform } from '../manifest/given-platform.ts';
import type { PushedList } from '../manifest/push-list.ts';
import { readSource } from '../manifest/sources.ts';
import { together } from '../manifest/together.ts';
import type { GlobalOptions } from './global-options.ts';
import { registriesFor, type InsecureFlags } from './insecure.ts';
import { print } from './output.ts';

export interface DraftFlags {
  readonly file?: string;
}

export interface ManifestFlags extends InsecureFlags, DraftFlags {}

export interface CreateFlags extends ManifestFlags {
  readonly amend?: boolean;
  readonly push?: boolean;
  readonly force?: boolean;
}

export interface AnnotateFlags extends DraftFlags {
  readonly os?: string;
  readonly arch?: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

interface ManifestOptions<F> {
  readonly flags: F;
  readonly global: GlobalOptions;
}

export async function runCreate(
  list: string,
  members: readonly string[],
  options: ManifestOptions<CreateFlags>,
): Promise<void> {
  const { flags, global } = options;
  const path = draftPath(list, flags.file);
  const existing = flags.push === true && flags.amend !== true ? undefined : await readDraft(list, path);
  if (existing !== undefined && flags.amend !== true) {
    throw new ArchfarmError('usage', 'refusing to amend an existing manifest list with no --amend flag', {
      hint: `${path} holds it; archfarm manifest rm ${list} removes it`,
    });
  }
  const begun = existing ?? newDraft(list);
  if (flags.push === true) {
    const sources = inDockerOrder([...begun.members, ...members.map((image) => ({ image }))]);
    return pushDraft({ ...begun, members: sources }, options);
  }
  await using registries = registriesFor(members, flags);
  const images = await together(
    members,
    // A list of this kind knows no attestations, and what its images are for may be annotated later.
    (image, signal) => readSource({ image }, { registries, attestations: 'strip', lenient: true, signal }),
    global.signal,
  );
  await writeDraft(path, withMembers(begun, images.flat()));
  print(`Created manifest list ${begun.list}`);
}

export async function runAnnotate(list: string, member: string, flags: AnnotateFlags): Promise<void> {
  const path = draftPath(list, flags.file);
  const { os, arch, variant, osVersion, osFeatures } = flags;
  const given: GivenPlatform = {
    ...(os === undefined ? {} : { os }),
    ...(arch === undefined ? {} : { architecture: arch }),
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(osFeatures === undefined ? {} : { osFeatures: osFeatures.flatMap((names) => names.split(',')) }),
  };
  await writeDraft(path, annotated(await begunList(list, path), { list, member }, given));
}

export async function runManifestInspect(
  list: string,
  member: string | undefined,
  { flags, global }: ManifestOptions<ManifestFlags & { readonly verbose?: boolean }>,
): Promise<void> {
  const { verbose = false } = flags;
  const path = draftPath(list, flags.file);
  const isBegun = member !== undefined || flags.file !== undefined;
  const draft = isBegun ? await begunList(list, path) : await readDraft(list, path);
  if (draft === undefined) {
    const { inspectReference } = await import('../manifest/inspect.ts');
    await using registries = registriesFor([list], flags);
    process.stdout.write(await inspectReference(list, { verbose }, registries, global.signal));
    return;
  }
  const { inspectDraft } = await import('../manifest/inspect-draft.ts');
  await using registries = registriesFor(
    draft.members.map(({ image }) => image),
    flags,
  );
  process.stdout.write(await inspectDraft(draft, { member, verbose }, registries, global.signal));
}

export async function runManifestPush(
  list: string,
  options: ManifestOptions<ManifestFlags & { readonly purge?: boolean; readonly force?: boolean }>,
): Promise<void> {
  const { flags } = options;
  const path = draftPath(list, flags.file);
  await pushDraft(await begunList(list, path), options);
  if (flags.purge === true) await removeDraft(path);
}

/** All that are there, even if one is not. */
export async function runRemove(lists: readonly string[], flags: DraftFlags): Promise<void> {
  const missing: string[] = [];
  for (const list of lists) {
    if (!(await removeDraft(draftPath(list, flags.file)))) missing.push(fullName(list));
  }
  if (missing.length > 0) throw noSuchList(missing.join(', '));
}

async function pushDraft(
  draft: Draft,
  { flags, global }: ManifestOptions<ManifestFlags & { readonly force?: boolean }>,
): Promise<void> {
  const { pushAs } = await import('./push.ts');
  const { annotations, members } = draft;
  const pushed = await pushAs(
    { names: namesOf(draft), sources: members, annotations },
    { flags: { ...flags, type: 'auto', attestations: 'strip' }, global },
  );
  if (!global.quiet) process.stdout.write(pushedLines(draft.list, pushed));
  print(pushed.descriptor.digest);
}

/** For what was not in the repository of the list, as docker says it. */
function pushedLines(list: string, { images }: PushedList): string {
  const repository = list.replace(/:[^:/]*$/, '');
  return images
    .filter(({ image }) => image.repository !== repository)
    .map(({ image: { descriptor } }) => {
      const { digest } = descriptor;
      return `Pushed ref ${repository}@${digest} with digest: ${digest}\n`;
    })
    .join('');
}

async function begunList(list: string, path: string): Promise<Draft> {
  const draft = await readDraft(list, path);
  if (draft === undefined) throw noSuchList(fullName(list), path);
  return draft;
}

function noSuchList(names: string, path?: string): ArchfarmError {
  return new ArchfarmError('not-found', `No such manifest: ${names}`, {
    hint: `${path === undefined ? '' : `there is no ${path} here: `}archfarm manifest create begins a list`,
  });
}

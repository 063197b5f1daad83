/**
 * The one commit point of a build: children into every final repository, then the list, then the tags. Untagged content
 * is invisible, so a tag stands for what it stood for until everything under the new list is there.
 */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Descriptor, PublishEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { bringBlob } from '../registry/blobs.ts';
import { findDigest, putManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import type { Manifest } from './document.ts';
import { assembleList } from './list.ts';
import { together } from './together.ts';

export interface PublishOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: PublishEvent) => void;
}

export interface Published {
  readonly descriptor: Descriptor;
  /** Full references. */
  readonly tags: readonly string[];
}

interface FinalTag {
  readonly repository: Repository;
  readonly tag: string;
}

/** Tags that stand for this list already are left alone, and so are their repositories. */
export async function publish(
  wanted: { children: readonly VerifiedImage[]; tags: readonly string[] },
  registries: Registries,
  options: PublishOptions,
): Promise<Published> {
  const { signal } = options;
  const list = assembleList(wanted.children);
  const tags = wanted.tags.map((text) => finalTag(text, registries));
  const stale = await outdated(tags, list, signal);
  const repositories = new Map(stale.map(({ repository }) => [repository.fullName, repository]));
  await together(
    [...repositories.values()],
    async (repository, signal) => {
      await bringChildren(wanted.children, repository, { registries, ...options, signal });
      const count = stale.filter((tag) => tag.repository.fullName === repository.fullName).length;
      // Under its digest first: what is refused is refused before one of several tags has moved.
      if (count > 1) await putList(list, { repository, tag: list.digest }, { ...options, signal });
    },
    signal,
  );
  for (const tag of stale) await putList(list, tag, options);
  await together(stale, (tag, signal) => readBack(list, tag, { ...options, signal }), signal);
  return {
    descriptor: { mediaType: list.mediaType, digest: list.digest, size: list.bytes.length },
    tags: tags.map(({ repository, tag }) => repository.reference(tag)),
  };
}

function finalTag(text: string, registries: Registries): FinalTag {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new ArchfarmError('usage', `cannot publish as ${text}: a digest is not a name to choose`);
  }
  return { repository: registries.repository(reference), tag: reference.tag ?? 'latest' };
}

async function outdated(
  tags: readonly FinalTag[],
  list: Manifest,
  signal: AbortSignal,
): Promise<readonly FinalTag[]> {
  const current = await together(
    tags,
    ({ repository, tag }, signal) => {
      // With the right to push: some registries deny a repository that does not exist yet to those who may only pull.
      return findDigest(repository, tag, { scope: repository.pushScope, signal });
    },
    signal,
  );
  return tags.filter((_, index) => current[index] !== list.digest);
}

/** All blobs, then the children's own manifests, which registries refuse while a blob is missing. */
async function bringChildren(
  children: readonly VerifiedImage[],
  to: Repository,
  options: PublishOptions & { registries: Registries },
): Promise<void> {
  const { registries, signal } = options;
  const foreign = children
    .filter(({ repository }) => repository !== to.fullName)
    .map((child) => ({ child, from: registries.repository(parseReference(child.repository)) }));
  const blobs = new Map(
    foreign.flatMap(({ child, from }) => child.blobs.map((blob) => [blob.digest, { from, blob }])),
  );
  await together(
    [...blobs.values()],
    ({ from, blob }, signal) => bring(blob, { from, to }, { ...options, signal }),
    signal,
  );
  await together(
    foreign,
    async ({ child, from }, signal) => {
      const manifest = await registries.manifest(from, child.descriptor.digest, signal);
      await putManifest(to, manifest, { reference: manifest.digest, signal });
      report(options, { action: 'manifest', reference: to.fullName, digest: manifest.digest });
    },
    signal,
  );
}

async function bring(
  blob: Descriptor,
  { from, to }: { from: Repository; to: Repository },
  options: PublishOptions & { registries: Registries },
): Promise<void> {
  const { registries, signal } = options;
  const outcome = await bringBlob({ from, to, blob, copies: registries.copies }, signal);
  if (outcome === 'present') return;
  const action = outcome === 'mounted' ? 'mount' : 'copy';
  report(options, { action, reference: to.fullName, digest: blob.digest, bytes: blob.size });
}

/** `tag` may be the list's digest. */
async function putList(
  list: Manifest,
  { repository, tag }: FinalTag,
  options: PublishOptions,
): Promise<void> {
  await putManifest(repository, list, { reference: tag, signal: options.signal });
  const action = tag === list.digest ? 'list' : 'tag';
  report(options, { action, reference: repository.reference(tag), digest: list.digest });
}

async function readBack(
  list: Manifest,
  { repository, tag }: FinalTag,
  options: PublishOptions,
): Promise<void> {
  const { signal } = options;
  const digest = await findDigest(repository, tag, { scope: repository.pushScope, signal });
  const reference = repository.reference(tag);
  if (digest !== list.digest) {
    throw new ArchfarmError(
      'registry-error',
      `${reference} was written as ${list.digest} and reads as ${digest ?? 'missing'}`,
      { hint: 'something else writes this tag' },
    );
  }
  report(options, { action: 'verify', reference, digest });
}

function report(options: PublishOptions, event: Omit<PublishEvent, 'type' | 'time'>): void {
  options.onEvent({ type: 'publish', time: Date.now(), ...event });
}

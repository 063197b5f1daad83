/**
 * The one commit point of a build: children into every final repository, then the list, then the tags. Untagged content
 * is invisible, so a tag stands for what it stood for until everything under the new list is there.
 */
import { untilAborted } from '../../shared/abort.ts';
import type { Descriptor, PublishEvent } from '../../shared/progress.ts';
import type { VerifiedImage } from '../farm/events.ts';
import { lacksContent } from '../registry/children.ts';
import { putManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import type { Manifest } from './document.ts';
import { tagChildren } from './child-tags.ts';
import { goBack } from './go-back.ts';
import { assembleList, listChildren } from './list.ts';
import { moveTags } from './move-tags.ts';
import type { Publication } from './publication.ts';
import { Staging } from './staging.ts';
import { finalTag, tagName, type FinalTag } from './tags.ts';
import {
  describeElsewhere,
  digestsOf,
  findElsewhere,
  manifestsOf,
  nothingToAmend,
  refuseLoss,
  type Target,
} from './targets.ts';
import { together } from './together.ts';

export interface PublishOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: PublishEvent) => void;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** What was done already while children were still to come. */
  readonly staging?: Staging | undefined;
  /** Resolves when it is stored; called before the first of several tags moves. Tags that do not exist are left out. */
  readonly onMoving?: ((previous: Readonly<Record<string, string>>) => Promise<void>) | undefined;
}

export interface Published {
  readonly descriptor: Descriptor;
  /** Full references. */
  readonly tags: readonly string[];
}

/**
 * Tags that stand for this list already are left alone, and so are their repositories. Throws `platform-loss`, and what
 * registries answer.
 */
export async function publish(
  publication: Publication,
  registries: Registries,
  options: PublishOptions,
): Promise<Published> {
  const { staging } = options;
  if (staging !== undefined) return publishFrom(staging, publication, { ...options, registries });
  await using own = new Staging(publication.tags, { registries, ...options });
  return await publishFrom(own, publication, { ...options, registries });
}

type Options = PublishOptions & { readonly registries: Registries };

async function publishFrom(staging: Staging, publication: Publication, options: Options): Promise<Published> {
  const { children, type, annotations } = publication;
  const { registries } = options;
  const list = assembleList(listChildren(children, annotations), { type, annotations: annotations?.index });
  const tags = publication.tags.map((tag) => finalTag(tag, registries));
  const { targets, stale } = await prepare(list, { tags, staging }, { publication, options });
  await move(list, { stale, targets, staging }, { publication, options });
  return {
    descriptor: { mediaType: list.mediaType, digest: list.digest, size: list.bytes.length },
    tags: targets.map(tagName),
  };
}

interface Place {
  readonly tags: readonly FinalTag[];
  readonly staging: Staging;
}

interface Wanted {
  readonly publication: Publication;
  readonly options: Options;
}

/** Targets that do not stand for the list yet are stale. */
interface Prepared {
  readonly targets: readonly Target[];
  readonly elsewhere: readonly Target[];
  readonly stale: readonly Target[];
}

/** All but the moving of the tags. Where an interrupted run has moved some of them, they go back when this fails for good. */
async function prepare(list: Manifest, place: Place, wanted: Wanted): Promise<Prepared> {
  const { publication, options } = wanted;
  const { children, previous, childTags = false } = publication;
  try {
    const prepared = await bringAll(list, place, wanted);
    for (const tag of prepared.elsewhere) options.onWarning?.(`${describeElsewhere(tag)}, and is left alone`);
    if (childTags) await tagChildren(children, prepared.targets, { ...options, staging: place.staging });
    return prepared;
  } catch (reason) {
    const { signal } = options;
    if (previous === undefined || signal.aborted) throw reason;
    const what = 'what was interrupted while it moved the tags cannot be finished';
    const former = {
      previous,
      known: new Map(),
      written: new Map(),
      resumes: options.onMoving !== undefined,
    };
    throw await goBack(list, place.tags, { ...former, signal, what, reason });
  }
}

/** All that the list names is in the repository of every tag that is to move, and every tag was looked at after that. */
async function bringAll(
  list: Manifest,
  { tags, staging }: Place,
  { publication, options }: Wanted,
): Promise<Prepared> {
  const { signal } = options;
  const { children, previous } = publication;
  const brought = new Set<string>();
  for (;;) {
    const look = async (tag: FinalTag): Promise<Target> => ({ ...tag, state: await staging.current(tag) });
    const looked = await together(tags, look, signal);
    const elsewhere = findElsewhere(looked, list, publication);
    const targets = looked.filter((tag) => !elsewhere.includes(tag));
    if (targets.length === 0) throw nothingToAmend(elsewhere);
    const stale = targets.filter(({ state }) => state.manifest?.digest !== list.digest);
    // Those that an interrupted run was about to move were looked at then.
    refuseLoss(
      stale.filter((tag) => previous === undefined || previous[tagName(tag)] !== tag.state.manifest?.digest),
      publication,
    );
    const lacking = new Map(
      stale
        .filter(({ repository }) => !brought.has(repository.fullName))
        .map(({ repository }) => [repository.fullName, repository]),
    );
    if (lacking.size === 0) return { targets, elsewhere, stale };
    await together(
      [...lacking.values()],
      async (repository) => {
        // Another child's copy may take hours: it goes on until its staging ends, and nobody waits for it.
        await together(
          children,
          (child, signal) => untilAborted(staging.bring(child, [repository]), signal),
          signal,
        );
        // What is refused is refused before one of several tags has moved.
        if (stale.length > 1) await putList(list, repository, { staging, children, options });
        brought.add(repository.fullName);
      },
      signal,
    );
    // That may have taken hours, in which others may have moved the tags: once more.
  }
}

interface ListPut {
  readonly staging: Staging;
  readonly children: readonly VerifiedImage[];
  readonly options: Options;
}

/** Under its own digest. */
async function putList(list: Manifest, repository: Repository, put: ListPut): Promise<void> {
  const { signal } = put.options;
  await withAllChildren(repository, put, () =>
    putManifest(repository, list, { reference: list.digest, signal }),
  );
  report(put.options, { action: 'list', reference: repository.reference(list.digest), digest: list.digest });
}

/** A list at the tag may name a child that was deleted since: then everything is brought after all. */
async function withAllChildren(
  repository: Repository,
  { staging, children, options }: ListPut,
  put: () => Promise<void>,
): Promise<void> {
  try {
    await put();
  } catch (error) {
    if (!lacksContent(error)) throw error;
    staging.doubt(repository);
    await together(children, (child) => staging.bring(child, [repository]), options.signal);
    await put();
  }
}

interface Move extends Pick<Prepared, 'targets' | 'stale'> {
  readonly staging: Staging;
}

async function move(
  list: Manifest,
  { stale, targets, staging }: Move,
  { publication, options }: Wanted,
): Promise<void> {
  const [only] = stale;
  if (only === undefined) return;
  // Whoever stores the intent rolls forward.
  const resumes = options.onMoving !== undefined;
  const onDone = (action: 'tag' | 'verify', tag: FinalTag): void =>
    report(options, { action, reference: tagName(tag), digest: list.digest });
  // What somebody else has written since an interrupted run began is what their tags go back to.
  const previous = {
    ...publication.previous,
    ...digestsOf(publication.previous === undefined ? targets : stale),
  };
  const asked = { ...options, previous, known: manifestsOf(targets), resumes, onDone };
  if (stale.length === 1 && publication.previous === undefined) {
    const put: ListPut = { staging, children: publication.children, options };
    await withAllChildren(only.repository, put, () => moveTags(list, stale, { ...asked, moved: [] }));
    return;
  }
  if (publication.previous === undefined) await options.onMoving?.(previous);
  // Those that an interrupted run moved; others stood for this list before there was anything to publish.
  const moved = targets.filter(
    (target) =>
      publication.previous !== undefined &&
      !stale.includes(target) &&
      previous[tagName(target)] !== list.digest,
  );
  await moveTags(list, stale, { ...asked, moved });
}

function report(options: PublishOptions, event: Omit<PublishEvent, 'type' | 'time'>): void {
  options.onEvent({ type: 'publish', time: Date.now(), ...event });
}

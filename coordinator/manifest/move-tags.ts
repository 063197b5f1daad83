/** The moment that a build is published: all of its tags move, or they stand for what they stood for. */
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { findDigest, getManifest, putManifest } from '../registry/manifests.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { Manifest } from './document.ts';
import { tagName, type FinalTag } from './tags.ts';

export interface MoveOptions {
  readonly signal: AbortSignal;
  /** What each tag, by its name, goes back to when another fails; a tag that is not here did not exist. */
  readonly previous: Readonly<Record<string, string>>;
  /** Tags that moved before, in an earlier run that was interrupted. */
  readonly moved: readonly FinalTag[];
  /** Manifests that are at hand, by digest. */
  readonly known: ReadonlyMap<string, Manifest>;
  /** Whether somebody goes on where `signal` stops it; else the tags go back then too. */
  readonly resumes: boolean;
  readonly onMoved: (tag: FinalTag) => void;
}

/** Milliseconds that whoever interrupts may wait for the tags to go back. */
const patience = 10_000;

/** Side by side. When one fails for good the others go back, as far as they can, and the error says how far that was. */
export async function moveTags(
  list: Manifest,
  tags: readonly FinalTag[],
  options: MoveOptions,
): Promise<void> {
  const { signal } = options;
  const outcomes = await Promise.allSettled(
    tags.map(async (tag) => {
      await putTag(list, tag, signal);
      options.onMoved(tag);
    }),
  );
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [{ tag: tags[index]!, reason: outcome.reason as unknown }] : [],
  );
  const [first] = failed;
  if (first === undefined) return;
  // An interrupted coordinator begins again where it stopped.
  if (signal.aborted && options.resumes) throw first.reason;
  const all = [...options.moved, ...tags];
  // The only tag did not move: there is nothing to say but why.
  if (all.length === 1) throw first.reason;
  const still = signal.aborted ? AbortSignal.timeout(patience) : signal;
  throw await goBack(list, all, { ...options, signal: still, failure: first });
}

/** A request whose answers were all lost may have done its work: then the tag stands for the list. */
async function putTag(list: Manifest, tag: FinalTag, signal: AbortSignal): Promise<void> {
  const { repository } = tag;
  try {
    await putManifest(repository, list, { reference: tag.tag, signal });
  } catch (error) {
    const unclear = error instanceof RegistryError && (error.status === undefined || error.status >= 500);
    if (!unclear || signal.aborted) throw error;
    const found = await findDigest(repository, tag.tag, { scope: repository.pushScope, signal }).catch(
      () => undefined,
    );
    if (found !== list.digest) throw error;
  }
}

type Fate = 'back' | 'new' | 'unmoved' | { readonly stuck: string };

interface GoBackOptions extends MoveOptions {
  readonly failure: { readonly tag: FinalTag; readonly reason: unknown };
}

async function goBack(
  list: Manifest,
  tags: readonly FinalTag[],
  options: GoBackOptions,
): Promise<ArchfarmError> {
  const fates = await Promise.all(
    tags.map(async (tag) => {
      const name = tagName(tag);
      try {
        return { name, fate: await restore(list, tag, options) };
      } catch (error) {
        return { name, fate: { stuck: messageOf(error) } satisfies Fate };
      }
    }),
  );
  const named = (fate: Fate): string =>
    fates.flatMap((each) => (each.fate === fate ? [each.name] : [])).join(', ');
  const stuck = fates.flatMap(({ name, fate }) =>
    typeof fate === 'object' ? [`${name} (${fate.stuck})`] : [],
  );
  const { tag, reason } = options.failure;
  const rest = [
    ['back at what they were', named('back')],
    ['new, and not to be deleted', named('new')],
    ['not to be put back', stuck.join(', ')],
  ].filter(([, names]) => names !== '');
  const message = [
    `${tagName(tag)} could not be written: ${messageOf(reason)}`,
    ...rest.map(([what, names]) => `${what}: ${names}`),
  ].join('; ');
  const own = reason instanceof ArchfarmError ? reason : undefined;
  return new ArchfarmError(own?.code ?? 'registry-error', message, { hint: own?.hint, cause: reason });
}

async function restore(
  list: Manifest,
  tag: FinalTag,
  { previous, known, signal }: MoveOptions,
): Promise<Fate> {
  const { repository } = tag;
  const current = await findDigest(repository, tag.tag, { scope: repository.pushScope, signal });
  // A failed request may have moved it all the same; and what somebody else wrote meanwhile is theirs.
  if (current !== list.digest) return 'unmoved';
  const digest = previous[tagName(tag)];
  if (digest === undefined) return 'new';
  const old = known.get(digest) ?? (await getManifest(repository, digest, signal, repository.pushScope));
  if (old === undefined) throw new ArchfarmError('registry-error', `${digest} is not there any more`);
  await putManifest(repository, old, { reference: tag.tag, signal });
  return 'back';
}

/** The way back of a publication that failed: its tags stand for what they stood for again, as far as they can. */
import { LaterAbort } from '../../shared/abort.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { findDigest, getAnyManifest, putManifest } from '../registry/manifests.ts';
import type { Manifest } from './document.ts';
import { tagName, type FinalTag } from './tags.ts';

/** What there was before, and how long there is time to go back to it. */
export interface Former {
  /** What each tag, by its name, goes back to; a tag that is not here did not exist. */
  readonly previous: Readonly<Record<string, string>>;
  /** Manifests that are at hand, by digest. */
  readonly known: ReadonlyMap<string, Manifest>;
  readonly signal: AbortSignal;
  /** Whether somebody goes on where `signal` stops it; else the tags go back then too. */
  readonly resumes: boolean;
}

export interface GoBackOptions extends Former {
  /** What its registry said that it wrote under a tag: the digest. */
  readonly written: ReadonlyMap<FinalTag, string>;
  /** What failed, and why. */
  readonly what: string;
  readonly reason: unknown;
}

/** Milliseconds that whoever interrupts may wait for the tags to go back. */
const patience = 10_000;

type Fate = 'back' | 'new' | 'unmoved' | { readonly stuck: string };

/** The error to throw: why the tags go back, and how far they could. */
export async function goBack(
  list: Manifest,
  tags: readonly FinalTag[],
  options: GoBackOptions,
): Promise<ArchfarmError> {
  using still = options.resumes ? undefined : new LaterAbort(options.signal, patience);
  const signal = still?.signal ?? options.signal;
  const fates = await Promise.all(
    tags.map(async (tag) => {
      const name = tagName(tag);
      try {
        return { name, fate: await restore(list, tag, { ...options, signal }) };
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
  const { what, reason } = options;
  const rest = [
    ['back at what they were', named('back')],
    ['new, and not to be deleted', named('new')],
    ['not to be put back', stuck.join(', ')],
  ].filter(([, names]) => names !== '');
  const message = [`${what}: ${messageOf(reason)}`, ...rest.map(([fate, names]) => `${fate}: ${names}`)].join(
    '; ',
  );
  const own = reason instanceof ArchfarmError ? reason : undefined;
  return new ArchfarmError(own?.code ?? 'registry-error', message, { hint: own?.hint, cause: reason });
}

async function restore(
  list: Manifest,
  tag: FinalTag,
  { previous, known, written, signal }: GoBackOptions,
): Promise<Fate> {
  const { repository } = tag;
  const digest = previous[tagName(tag)];
  const wrote = written.get(tag);
  // It stood for this list before there was anything to publish.
  if (digest === list.digest) return 'unmoved';
  const current = await findDigest(repository, tag.tag, { scope: repository.pushScope, signal });
  // A failed request may have moved it all the same.
  if (wrote === undefined && current !== list.digest) return 'unmoved';
  // Reads may lag behind writes, and then tell what was there before; what somebody else wrote meanwhile is theirs.
  if (![list.digest, wrote, digest, undefined].includes(current)) {
    return { stuck: `it stands for ${current}, which something else has written` };
  }
  if (digest === undefined) return current === undefined ? 'unmoved' : 'new';
  const old =
    known.get(digest) ?? (await getAnyManifest(repository, digest, { scope: repository.pushScope, signal }));
  if (old === undefined) throw new ArchfarmError('registry-error', `${digest} is not there any more`);
  await putManifest(repository, old, { reference: tag.tag, signal });
  return 'back';
}

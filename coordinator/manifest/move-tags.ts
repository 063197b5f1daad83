/** The moment that a build is published: all of its tags move, or they stand for what they stood for. */
import { findDigest, putManifest } from '../registry/manifests.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { Manifest } from './document.ts';
import { goBack, type Former } from './go-back.ts';
import { readBack } from './read-back.ts';
import { tagName, type FinalTag } from './tags.ts';
import { together } from './together.ts';

export interface MoveOptions extends Former {
  /** Tags that moved before, in an earlier run that was interrupted. */
  readonly moved: readonly FinalTag[];
  /** Told of each tag that was put, and of each that was read back. */
  readonly onDone: (action: 'tag' | 'verify', tag: FinalTag) => void;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Side by side. When one fails for good the others go back, as far as they can, and the error says how far that was. */
export async function moveTags(
  list: Manifest,
  tags: readonly FinalTag[],
  options: MoveOptions,
): Promise<void> {
  const { signal } = options;
  const written = new Map(options.moved.map((tag) => [tag, list.digest]));
  const outcomes = await Promise.allSettled(
    tags.map(async (tag) => {
      try {
        await putTag(list, tag, signal);
        written.set(tag, list.digest);
      } catch (error) {
        if (error instanceof RegistryError && error.stored !== undefined) written.set(tag, error.stored);
        throw error;
      }
      options.onDone('tag', tag);
    }),
  );
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [{ tag: tags[index]!, reason: outcome.reason as unknown }] : [],
  );
  const all = [...options.moved, ...tags];
  const [first] = failed;
  if (first === undefined) return readAllBack(list, tags, { ...options, all, written });
  // An interrupted coordinator begins again where it stopped.
  if (signal.aborted && options.resumes) throw first.reason;
  // The only tag did not move: there is nothing to say but why.
  if (all.length === 1 && written.size === 0) throw first.reason;
  const what = `${tagName(first.tag)} could not be written`;
  throw await goBack(list, all, { ...options, written, what, reason: first.reason });
}

interface Moved extends MoveOptions {
  readonly all: readonly FinalTag[];
  readonly written: ReadonlyMap<FinalTag, string>;
}

async function readAllBack(list: Manifest, tags: readonly FinalTag[], moved: Moved): Promise<void> {
  const { signal, previous, onDone, onWarning } = moved;
  try {
    await together(
      tags,
      async (tag, signal) => {
        const former = previous[tagName(tag)];
        if (await readBack(list, tag, { signal, former, onWarning })) onDone('verify', tag);
      },
      signal,
    );
  } catch (reason) {
    if (signal.aborted) throw reason;
    throw await goBack(list, moved.all, { ...moved, what: 'the tags did not move', reason });
  }
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

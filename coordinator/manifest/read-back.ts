/** The second look at a tag that was written: its registry has said that it took the list, and this is to be seen. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { findDigest } from '../registry/manifests.ts';
import type { Manifest } from './document.ts';
import { tagName, type FinalTag } from './tags.ts';

export interface ReadBackOptions {
  readonly signal: AbortSignal;
  /** What the tag stood for before; undefined where it did not exist. */
  readonly former: string | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Whether it was seen to stand for the list. Throws `registry-error` where the tag stays what it was, whatever the registry said. */
export async function readBack(
  list: Manifest,
  tag: FinalTag,
  { signal, former, onWarning }: ReadBackOptions,
): Promise<boolean> {
  const name = tagName(tag);
  let digest: string | undefined;
  try {
    digest = await patientDigest(list, tag, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    // It took the list and said so: what was published is not called a failure for want of a second look.
    onWarning?.(`${name} is written and could not be read back: ${messageOf(error)}`);
    return false;
  }
  if (digest === list.digest) return true;
  const what = `${name} was written as ${list.digest} and reads as ${digest ?? 'missing'}`;
  if (digest !== undefined && digest !== former) {
    // Nothing keeps others from that; it was published before.
    onWarning?.(`${what}: something else writes this tag`);
    return false;
  }
  throw new ArchfarmError('registry-error', what, {
    hint: 'the registry says that it wrote the tag, and did not: its log may say more',
  });
}

/** Answers of a cache or a replica may be of before: looks for a few seconds until it is the list's. */
async function patientDigest(
  list: Manifest,
  { repository, tag }: FinalTag,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { firstPause, maxPause, tries } = repository.client.timing;
  const backoff = new Backoff({ first: firstPause, max: maxPause, random: () => 1 });
  for (let looks = 1; ; looks++) {
    const digest = await findDigest(repository, tag, { scope: repository.pushScope, signal });
    if (digest === list.digest || looks >= tries) return digest;
    await delay(backoff.next(), signal);
  }
}

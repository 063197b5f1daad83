/** A page of the list of builds, and where the next one begins. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BuildResult } from '../../shared/progress.ts';
import type { ListOptions } from '../store/store.ts';

export interface BuildPage {
  readonly builds: readonly BuildResult[];
  /** What to give as `before`; absent where nothing is left. */
  readonly next?: string | undefined;
}

export interface FindOptions extends ListOptions {
  /** Only those of which the id, the name, the client, a tag or the digest holds this. */
  readonly text?: string | undefined;
}

/** Builds that one request looks at: beyond it a page may be short, or empty, and yet not the last. */
const mostSeen = 2000;
/** Builds that are looked at in one turn of the event loop. */
const atOnce = 200;

/** `list` gives builds as the store does: newest first, those before an id. */
export async function findBuilds(
  list: (options: ListOptions) => Promise<readonly BuildResult[]>,
  { text = '', limit, before, status }: FindOptions,
): Promise<BuildPage> {
  const wanted = text.toLowerCase();
  const size = wanted === '' ? limit : atOnce;
  const found: BuildResult[] = [];
  let next = before;
  for (let seen = 0; seen < mostSeen; seen += size) {
    const builds = await list({ limit: size, before: next, status });
    for (const build of builds) {
      next = build.build;
      if (holds(build, wanted)) found.push(build);
      if (found.length === limit) return { builds: found, next };
    }
    if (builds.length < size) return { builds: found };
    await nextTurn();
  }
  return { builds: found, next };
}

function holds(result: BuildResult, wanted: string): boolean {
  const { build, name, client = '', tags, 'containerimage.digest': digest = '' } = result;
  return (
    wanted === '' ||
    [build, name, client, digest, ...tags].some((said) => said.toLowerCase().includes(wanted))
  );
}

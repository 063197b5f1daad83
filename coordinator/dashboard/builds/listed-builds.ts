/** Builds as the list has them. */
import type { BuildStatus, TaskStatus } from '../../../shared/progress.ts';

export interface ListedBuild {
  readonly build: string;
  readonly name: string;
  readonly status: BuildStatus;
  readonly created: number;
  readonly client: string;
  readonly tags: readonly string[];
  readonly platforms: readonly { readonly platform: string; readonly status: TaskStatus }[];
  readonly digest?: string | undefined;
  /** Milliseconds; undefined while it goes on. */
  readonly took?: number | undefined;
  readonly error?: string | undefined;
}

/**
 * What was read, with what the farm has told since in its place, newest first. Only what was told is looked at one by one:
 * what was read may be very many, with every page anew.
 */
export function withTold(
  read: readonly ListedBuild[],
  told: ReadonlyMap<string, ListedBuild>,
  isWanted: (build: ListedBuild) => boolean,
): ListedBuild[] {
  const wanted = [...told.values()].filter(isWanted).toSorted((a, b) => (a.build < b.build ? 1 : -1));
  const merged: ListedBuild[] = [];
  let next = 0;
  for (const build of read) {
    for (let own = wanted[next]; own !== undefined && own.build >= build.build; own = wanted[++next])
      merged.push(own);
    if (!told.has(build.build)) merged.push(build);
  }
  return [...merged, ...wanted.slice(next)];
}

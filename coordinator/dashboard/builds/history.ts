/** Builds as the list shows them: a page at a time from the coordinator, and what has changed since. */
import { computed, signal } from '@preact/signals';
import type { BuildResult, BuildStatus, TaskStatus } from '../../../shared/progress.ts';
import type { BuildSummary } from '../../farm/summary.ts';
import { getJson, RequestError } from '../api/request.ts';
import { ended, openBuilds } from '../farm/farm.ts';

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

export interface BuildFilter {
  readonly status: BuildStatus | undefined;
  readonly text: string;
}

interface Page {
  readonly builds: readonly BuildResult[];
  /** Where the next page begins; absent at the end. */
  readonly next?: string | undefined;
}

const pageSize = 100;

/** One list that is being looked at; a new filter takes a new one. */
export class History {
  readonly #filter: BuildFilter;
  readonly #results = signal<readonly BuildResult[]>([]);
  #next: string | undefined;
  #reading = false;
  readonly atEnd = signal(false);
  readonly error = signal<RequestError | undefined>(undefined);

  constructor(filter: BuildFilter) {
    this.#filter = filter;
  }

  readonly builds = computed((): readonly ListedBuild[] => {
    const all = new Map(this.#results.value.map((result) => [result.build, fromResult(result)]));
    for (const result of ended.value) all.set(result.build, fromResult(result));
    for (const summary of openBuilds.value) all.set(summary.build, fromSummary(summary));
    return [...all.values()]
      .filter((build) => matches(build, this.#filter))
      .toSorted((a, b) => (a.build < b.build ? 1 : -1));
  });

  /** The next page, unless there is none. */
  async more(): Promise<void> {
    if (this.#reading || this.atEnd.value) return;
    this.#reading = true;
    try {
      const query = new URLSearchParams({ limit: String(pageSize) });
      if (this.#filter.status !== undefined) query.set('status', this.#filter.status);
      if (this.#filter.text !== '') query.set('text', this.#filter.text);
      if (this.#next !== undefined) query.set('before', this.#next);
      const { builds, next } = await getJson<Page>(`/v1/builds?${query}`);
      this.#results.value = [...this.#results.value, ...builds];
      this.#next = next;
      this.error.value = undefined;
      if (next === undefined) this.atEnd.value = true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error.value = error;
    } finally {
      this.#reading = false;
    }
    // A search may have to look far for the next one.
    if (this.#next !== undefined && this.builds.value.length < pageSize / 2 && this.error.value === undefined)
      await this.more();
  }
}

export function fromResult(result: BuildResult): ListedBuild {
  return {
    build: result.build,
    name: result.name,
    status: result.status,
    created: result.created,
    client: result.client ?? '',
    tags: result.tags,
    platforms: result.platforms,
    digest: result['containerimage.digest'],
    took: isOpen(result.status) ? undefined : result.timings.total,
    error: result.error?.message,
  };
}

function fromSummary(summary: BuildSummary): ListedBuild {
  const { build, name, status, created, client, tags, platforms, error } = summary;
  return { build, name, status, created, client, tags, platforms, error: error?.message };
}

export function isOpen(status: BuildStatus): boolean {
  return status === 'queued' || status === 'running' || status === 'publishing';
}

/** As the coordinator has it. */
function matches(build: ListedBuild, { status, text }: BuildFilter): boolean {
  if (status !== undefined && build.status !== status) return false;
  const said = [build.build, build.name, build.client, ...build.tags, build.digest ?? ''];
  const wanted = text.toLowerCase();
  return wanted === '' || said.some((part) => part.toLowerCase().includes(wanted));
}

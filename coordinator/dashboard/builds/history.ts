/** Builds as the list shows them: a page at a time from the coordinator, and what has changed since. */
import { computed, signal } from '@preact/signals';
import type { BuildResult, BuildStatus } from '../../../shared/progress.ts';
import type { BuildSummary } from '../../farm/summary.ts';
import { getJson, RequestError } from '../api/request.ts';
import { ended, openBuilds } from '../farm/farm.ts';
import { withTold, type ListedBuild } from './listed-builds.ts';

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
  /** Of the pages that were read: newest first, as the coordinator gives them. */
  readonly #read = signal<readonly ListedBuild[]>([]);
  #next: string | undefined;
  #reading = false;
  readonly atEnd = signal(false);
  readonly error = signal<RequestError | undefined>(undefined);

  constructor(filter: BuildFilter) {
    this.#filter = filter;
  }

  readonly builds = computed((): readonly ListedBuild[] => {
    const told = new Map(ended.value.map((result) => [result.build, fromResult(result)]));
    for (const summary of openBuilds.value) told.set(summary.build, fromSummary(summary));
    return withTold(this.#read.value, told, (build) => matches(build, this.#filter));
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
      const page = builds.map(fromResult).filter((build) => matches(build, this.#filter));
      this.#read.value = [...this.#read.value, ...page];
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

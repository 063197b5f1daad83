/** Builds as the list shows them: a page at a time from the coordinator, and what has changed since. */
import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { BuildResult, BuildStatus } from '../../../shared/progress.ts';
import type { BuildSummary } from '../../farm/summary.ts';
import { getJson, RequestError } from '../api/request.ts';
import { ended, openBuilds, timesTold } from '../farm/farm.ts';
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

/** The list to look at: another one for each filter, and each time that the farm was not followed for a while. */
export function historyOf(filter: ReadonlySignal<BuildFilter>): ReadonlySignal<History> {
  let latest: History | undefined;
  return computed(() => {
    void timesTold.value;
    latest = new History(filter.value, latest);
    return latest;
  });
}

/** One list that is being looked at. */
export class History {
  readonly #filter: BuildFilter;
  /** Of the pages that were read, and behind them what is left of the list before: newest first, as the coordinator gives them. */
  readonly #rows: Signal<readonly ListedBuild[]>;
  /** How many there were at first: as many are read again. */
  readonly #depth: number;
  /** How many of them were read for this list. */
  #read = 0;
  #next: string | undefined;
  #reading = false;
  readonly atEnd = signal(false);
  readonly error = signal<RequestError | undefined>(undefined);

  /** Shows what the list before it had until it has read as far itself. */
  constructor(filter: BuildFilter, before?: History) {
    this.#filter = filter;
    this.#rows = signal(before !== undefined && before.#filter === filter ? before.#rows.peek() : []);
    this.#depth = this.#rows.peek().length;
  }

  readonly builds = computed((): readonly ListedBuild[] => {
    const told = new Map(ended.value.map((result) => [result.build, fromResult(result)]));
    for (const summary of openBuilds.value) told.set(summary.build, fromSummary(summary));
    return withTold(this.#rows.value, told, (build) => matches(build, this.#filter));
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
      const read = [...this.#rows.value.slice(0, this.#read), ...page];
      const isThrough = next === undefined || read.length >= this.#depth;
      const left = isThrough ? [] : this.#rows.value.slice(this.#read).filter(({ build }) => build < next);
      this.#rows.value = [...read, ...left];
      this.#read = read.length;
      this.#next = next;
      this.error.value = undefined;
      if (next === undefined) this.atEnd.value = true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error.value = error;
    } finally {
      this.#reading = false;
    }
    if (this.#next === undefined || this.error.value !== undefined) return;
    // A search may have to look far for the next one.
    const isShort = this.builds.value.length < pageSize / 2;
    if (isShort || this.#read < this.#rows.value.length) await this.more();
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

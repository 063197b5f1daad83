/** The farm as the coordinator tells it: who is there, what goes on, and what has just ended. */
import { computed, signal } from '@preact/signals';
import type { BuildResult } from '../../../shared/progress.ts';
import type { AgentView } from '../../farm/agent-state.ts';
import type { BuildSummary, TaskSummary } from '../../farm/summary.ts';
import type { FeedLine } from '../../server/farm-feed.ts';
import { follow, type LinkState } from '../api/lines.ts';
import type { RequestError } from '../api/request.ts';
import { setClock } from '../parts/clock.ts';

export const link = signal<{ readonly state: LinkState; readonly error?: RequestError | undefined }>({
  state: 'connecting',
});
/** Whether anything has been told yet. */
export const isKnown = signal(false);

/** How often all of it has been told: what happened between two times, while nobody followed, is told by nobody. */
export const timesTold = signal(0);

const byName = signal<ReadonlyMap<string, AgentView>>(new Map());
const open = signal<ReadonlyMap<string, BuildSummary>>(new Map());

/** Builds that ended while this page was there, the latest last. */
export const ended = signal<readonly BuildResult[]>([]);

export const agents = computed(() =>
  [...byName.value.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
);
/** That go on, the newest first. */
export const openBuilds = computed(() => [...open.value.values()].toReversed());

export function openBuild(id: string): BuildSummary | undefined {
  return open.value.get(id);
}

export interface WaitingTask {
  readonly build: BuildSummary;
  readonly task: TaskSummary;
}

/** In the order of their builds: the higher priority first, then the older. */
export const waiting = computed((): readonly WaitingTask[] =>
  [...open.value.values()]
    .flatMap((build) =>
      build.platforms.filter(({ status }) => status === 'queued').map((task) => ({ build, task })),
    )
    .toSorted((a, b) => b.build.priority - a.build.priority),
);

/** Ended builds that are remembered here; the list of builds asks for all others. */
const maxEnded = 500;

/** Until the signal aborts, or the coordinator refuses. */
export function followFarm(signal: AbortSignal): Promise<void> {
  return follow<FeedLine>({
    path: () => '/v1/farm',
    signal,
    state: (state, error) => {
      link.value = { state, error };
    },
    take: (lines) => {
      for (const line of lines) take(line);
    },
  });
}

function take(line: FeedLine): void {
  if (line.type === 'farm') {
    setClock(line.at);
    byName.value = new Map(line.agents.map((agent) => [agent.name, agent]));
    open.value = new Map(line.builds.map((build) => [build.build, build]));
    isKnown.value = true;
    timesTold.value += 1;
    return;
  }
  const known = new Map(byName.value);
  for (const agent of line.agents) known.set(agent.name, agent);
  for (const name of line.gone) known.delete(name);
  byName.value = known;
  const builds = new Map(open.value);
  for (const build of line.builds) builds.set(build.build, build);
  for (const { build } of line.ended) builds.delete(build);
  open.value = builds;
  if (line.ended.length > 0) ended.value = [...ended.value, ...line.ended].slice(-maxEnded);
}

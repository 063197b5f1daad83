/** What the farm has to do: builds that go on, and tasks that wait or run, by platform. */
import { isSettled } from './build-state.ts';
import type { FarmState } from './farm-state.ts';

export interface PlatformLoad {
  queued: number;
  running: number;
  /** Since when the task that waits longest does, in milliseconds since 1970. */
  waitingSince: number | undefined;
}

export interface FarmLoad {
  readonly builds: Readonly<Record<'queued' | 'running' | 'publishing', number>>;
  readonly platforms: ReadonlyMap<string, PlatformLoad>;
}

export function loadOf(state: FarmState): FarmLoad {
  const builds = { queued: 0, running: 0, publishing: 0 };
  const platforms = new Map<string, PlatformLoad>();
  for (const build of state.builds.values()) {
    const { status } = build;
    if (status === 'queued' || status === 'running' || status === 'publishing') builds[status] += 1;
    for (const task of build.tasks.values()) {
      if (isSettled(task)) continue;
      const load = platforms.get(task.platform) ?? { queued: 0, running: 0, waitingSince: undefined };
      platforms.set(task.platform, load);
      if (task.status === 'running') load.running += 1;
      else {
        load.queued += 1;
        load.waitingSince = Math.min(load.waitingSince ?? Infinity, task.queuedAt);
      }
    }
  }
  return { builds, platforms };
}

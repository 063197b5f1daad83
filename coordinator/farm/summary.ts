/** A build that goes on, in short: nothing in it changes by the mere passing of time. */
import type { ErrorInfo } from '../../shared/errors.ts';
import type { BuildStatus, TaskStatus } from '../../shared/progress.ts';
import { liveAttempt } from './build-state.ts';
import type { Build, TaskState } from './build-state.ts';
import { waitReason, type Roster } from './roster.ts';

export interface BuildSummary {
  readonly build: string;
  readonly name: string;
  readonly status: BuildStatus;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly client: string;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly platforms: readonly TaskSummary[];
  readonly error?: ErrorInfo | undefined;
}

export interface TaskSummary {
  readonly platform: string;
  readonly status: TaskStatus;
  readonly optional: boolean;
  /** Of the attempt that goes on, or brought the image. */
  readonly agent?: string | undefined;
  readonly native?: boolean | undefined;
  /** Attempts so far. */
  readonly attempts: number;
  /** Of a waiting one: since when it waits for an agent, and why. */
  readonly queuedAt?: number | undefined;
  readonly reason?: string | undefined;
}

export function summaryOf(build: Build, roster: Roster): BuildSummary {
  const { id, spec, status, createdAt, client, error } = build;
  return {
    build: id,
    name: spec.name,
    status,
    created: createdAt,
    client,
    tags: spec.tags,
    priority: spec.priority,
    platforms: [...build.tasks.values()].map((task) => taskSummary(build, task, roster)),
    ...(error === undefined ? {} : { error }),
  };
}

function taskSummary(build: Build, task: TaskState, roster: Roster): TaskSummary {
  const { platform, optional, status, queuedAt } = task;
  const tries = task.attempts.filter(({ outcome }) => outcome !== 'declined');
  const shown = tries.find(({ outcome }) => outcome === 'pushed') ?? liveAttempt(task);
  const base = { platform, optional, status, attempts: tries.length };
  const held = shown && { agent: shown.agent, native: shown.native };
  if (status !== 'queued') return { ...base, ...held };
  if (held !== undefined) return { ...base, ...held, queuedAt, reason: `it is offered to ${held.agent}` };
  const reason = waitReason(roster, { build, task }) ?? 'it waits for its turn';
  return { ...base, queuedAt, reason };
}

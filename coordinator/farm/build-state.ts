/** What the farm knows of a build that has not ended: its tasks, and every attempt at them. */
import type { AttemptId } from '../../shared/attempt.ts';
import type { ErrorInfo } from '../../shared/errors.ts';
import type { ProofResult } from '../../shared/proof.ts';
import type { AttemptOutcome, BuildStatus, TaskStatus, Timings } from '../../shared/progress.ts';
import type { PushedImage } from '../../shared/task.ts';
import type { DurableEvent, NewBuild, VerifiedImage } from './events.ts';

export interface Attempt {
  readonly id: AttemptId;
  readonly agent: string;
  readonly native: boolean;
  readonly offeredAt: number;
  status: 'offered' | 'running' | 'reported' | 'ended';
  acceptedAt: number | undefined;
  /** When it last said something. */
  aliveAt: number;
  endedAt: number | undefined;
  /** Of an ended attempt. A declined offer is no try of the task and is not shown. */
  outcome: AttemptOutcome | 'declined' | undefined;
  /** Its agent was removed: it can bring nothing any more. */
  isVoid: boolean;
  error: ErrorInfo | undefined;
  report: PushedImage | undefined;
  timings: Timings;
  sentBytes: number;
}

export interface TaskState {
  readonly platform: string;
  /** The build is published without it, if need be. */
  readonly optional: boolean;
  status: TaskStatus;
  readonly createdAt: number;
  /** Since when it waits for an agent. */
  queuedAt: number;
  /** `attempts[n - 1]` is attempt `n`. */
  readonly attempts: Attempt[];
  image: VerifiedImage | undefined;
  error: ErrorInfo | undefined;
}

export interface Build extends NewBuild {
  readonly createdAt: number;
  status: BuildStatus;
  /** In the order of the spec's platforms, which is the order of the published list. */
  readonly tasks: Map<string, TaskState>;
  /** The tags it is moving, once the intent to do so is stored. */
  publishing: readonly string[] | undefined;
  /** What its tags stood for before it moved the first of several. */
  previous: Readonly<Record<string, string>> | undefined;
  /** Its tags have moved. */
  published: Extract<DurableEvent, { type: 'published' }> | undefined;
  /** How what it published runs, by platform. */
  proofs: Readonly<Record<string, ProofResult>> | undefined;
  /** Bytes of contents that its client sent. */
  sentBytes: number;
  error: ErrorInfo | undefined;
}

export function newBuild(build: NewBuild, createdAt: number): Build {
  const tasks = build.spec.platforms.map((platform): TaskState => {
    const image = build.carried?.[platform];
    return {
      platform,
      optional: build.spec.optional.includes(platform),
      status: image === undefined ? 'queued' : 'pushed',
      createdAt,
      queuedAt: createdAt,
      attempts: [],
      image,
      error: undefined,
    };
  });
  return {
    ...build,
    createdAt,
    status: 'queued',
    tasks: new Map(tasks.map((task) => [task.platform, task])),
    publishing: undefined,
    previous: undefined,
    published: undefined,
    proofs: undefined,
    sentBytes: 0,
    error: undefined,
  };
}

export function newAttempt(id: AttemptId, host: { agent: string; native: boolean; at: number }): Attempt {
  return {
    id,
    agent: host.agent,
    native: host.native,
    offeredAt: host.at,
    status: 'offered',
    acceptedAt: undefined,
    aliveAt: host.at,
    endedAt: undefined,
    outcome: undefined,
    isVoid: false,
    error: undefined,
    report: undefined,
    timings: {},
    sentBytes: 0,
  };
}

export function isSettled(task: TaskState): boolean {
  return task.status !== 'queued' && task.status !== 'running';
}

/** The attempt that may still bring the task's image, as far as the coordinator counts on it. */
export function liveAttempt(task: TaskState): Attempt | undefined {
  return task.attempts.find((attempt) => attempt.status !== 'ended');
}

/** Given up without a word from its agent, which may still be working on it. */
export function isResumable(attempt: Attempt): boolean {
  if (attempt.isVoid || attempt.status !== 'ended') return false;
  return attempt.outcome === 'lost' || attempt.outcome === 'declined';
}

/** Every child that has to be there is verified, no other one is to come, and nobody has begun to publish. */
export function isReady(build: Build): boolean {
  if (build.publishing !== undefined) return false;
  const tasks = [...build.tasks.values()];
  return (
    tasks.some(({ status }) => status === 'pushed') &&
    tasks.every((task) => task.status === 'pushed' || (task.optional && isSettled(task)))
  );
}

/** Whether the task's end means that nothing will be published. */
export function isFatal(task: TaskState): boolean {
  return isSettled(task) && task.status !== 'pushed' && !task.optional;
}

/** Tries that failed without a verdict on the build itself. An agent that refuses it has not tried. */
export function failedTries(task: TaskState): number {
  return task.attempts.filter(
    ({ outcome, error }) =>
      (outcome === 'failed' && error?.code !== 'policy-refused') ||
      outcome === 'lost' ||
      outcome === 'cancelled',
  ).length;
}

/** All that a build's events tell of it, folded into what a page shows: its platforms, their attempts and steps. */
import { plainText } from '../../cli/progress/sanitize.ts';
import type { ErrorInfo } from '../../../shared/errors.ts';
import {
  buildStatuses,
  type AttemptOutcome,
  type BuildResult,
  type BuildStatus,
  type Frame,
  type StateEvent,
  type StepEvent,
  type TaskStatus,
} from '../../../shared/progress.ts';
import { LogLines } from './log-lines.ts';

export interface StepRecord {
  readonly id: string;
  readonly name: string;
  status: StepEvent['status'];
  /** Milliseconds since 1970, by the clock of its agent. */
  began: number;
  ended: number | undefined;
  error: string | undefined;
}

export interface AttemptRecord {
  readonly number: number;
  readonly agent: string;
  readonly native: boolean;
  /** Milliseconds since 1970, by the coordinator's clock. */
  readonly began: number;
  ended: number | undefined;
  outcome: AttemptOutcome | undefined;
  error: ErrorInfo | undefined;
  readonly steps: Map<string, StepRecord>;
  /** When the first of its layers moved, by its agent's clock. */
  pushBegan: number | undefined;
  readonly layers: Map<string, { readonly current: number; readonly total: number }>;
  /** Bytes of the context that its engine took, and that came from the coordinator. */
  context: { readonly engineBytes: number; readonly sentBytes: number } | undefined;
}

export interface PlatformRecord {
  readonly platform: string;
  status: TaskStatus;
  reason: string | undefined;
  error: ErrorInfo | undefined;
  readonly attempts: AttemptRecord[];
  readonly log: LogLines;
}

export class BuildRecord {
  readonly platforms = new Map<string, PlatformRecord>();
  /** When its images began to be made ready for the list, and when the last thing was put. */
  publishing: { readonly from: number; readonly to: number } | undefined;
  /** What concerns the build and no platform, the steps of publishing among it. */
  readonly log = new LogLines();
  status: BuildStatus = 'queued';
  reason: string | undefined;
  result: BuildResult | undefined;
  /** Number of the last frame. */
  seq = 0;

  take(frame: Frame): void {
    // After a reconnect what is known may come again.
    if (frame.seq <= this.seq) return;
    this.seq = frame.seq;
    if (frame.type === 'result') {
      this.result = frame.result;
      this.status = frame.result.status;
    } else if (frame.type === 'publish') {
      this.publishing = { from: this.publishing?.from ?? frame.time, to: frame.time };
      this.log.take(frame);
    } else if (frame.platform === undefined) {
      this.#takeBuild(frame);
    } else {
      this.#takePlatform(this.#platform(frame.platform), frame);
    }
  }

  #takeBuild(frame: Exclude<Frame, { type: 'result' | 'publish' }>): void {
    if (frame.type === 'state') {
      this.status = buildStatuses.find((status) => status === frame.state) ?? this.status;
      this.reason = frame.reason;
    }
    if (frame.type !== 'context' && frame.type !== 'push') this.log.take(frame);
  }

  #platform(name: string): PlatformRecord {
    const known = this.platforms.get(name);
    if (known !== undefined) return known;
    const record: PlatformRecord = {
      platform: name,
      status: 'queued',
      reason: undefined,
      error: undefined,
      attempts: [],
      log: new LogLines(),
    };
    this.platforms.set(name, record);
    return record;
  }

  #takePlatform(record: PlatformRecord, frame: Exclude<Frame, { type: 'result' | 'publish' }>): void {
    if (frame.type === 'state') takeState(record, frame, frame.agent);
    // Of an agent that was given up words may still come: they belong to its own attempt.
    const attempt = record.attempts.findLast(({ agent }) => agent === frame.agent) ?? record.attempts.at(-1);
    if (attempt !== undefined) takeWork(attempt, frame);
    if (frame.type !== 'context' && frame.type !== 'push') record.log.take(frame);
  }
}

const taskStatuses: readonly TaskStatus[] = ['queued', 'running', 'pushed', 'failed', 'cancelled', 'skipped'];

function takeState(record: PlatformRecord, event: StateEvent, agent: string | undefined): void {
  const { attempt: number, native = true, reason, error, time } = event;
  const state = taskStatuses.find((status) => status === event.state) ?? record.status;
  record.status = state;
  record.reason = reason;
  record.error = error;
  if (state === 'running') return begin(record, { number, agent, native, time });
  const last = record.attempts.at(-1);
  if (last === undefined || last.ended !== undefined) return undefined;
  last.ended = time;
  last.error = error;
  last.outcome = outcomeOf(state, error);
  return undefined;
}

function begin(
  record: PlatformRecord,
  {
    number,
    agent = '',
    native,
    time,
  }: { number?: number | undefined; agent?: string | undefined; native: boolean; time: number },
): void {
  const known = record.attempts.find((attempt) => attempt.number === number);
  if (known !== undefined) {
    // Its agent came back with it.
    known.ended = undefined;
    known.outcome = undefined;
    known.error = undefined;
    return;
  }
  record.attempts.push({
    number: number ?? record.attempts.length + 1,
    agent,
    native,
    began: time,
    ended: undefined,
    outcome: undefined,
    error: undefined,
    steps: new Map(),
    pushBegan: undefined,
    layers: new Map(),
    context: undefined,
  });
}

function outcomeOf(state: TaskStatus, error: ErrorInfo | undefined): AttemptOutcome {
  if (state === 'pushed') return 'pushed';
  if (state === 'cancelled' || state === 'skipped') return 'cancelled';
  return error?.code === 'agent-lost' ? 'lost' : 'failed';
}

function takeWork(attempt: AttemptRecord, frame: Exclude<Frame, { type: 'result' | 'publish' }>): void {
  if (frame.type === 'step') takeStep(attempt, frame);
  else if (frame.type === 'context') attempt.context = frame;
  else if (frame.type === 'push') {
    attempt.pushBegan ??= frame.time;
    const { layer, current, total } = frame;
    const known = attempt.layers.get(layer);
    attempt.layers.set(layer, { current: current ?? known?.current ?? 0, total: total ?? known?.total ?? 0 });
  }
}

function takeStep(attempt: AttemptRecord, { step, name, status, time, duration, error }: StepEvent): void {
  const isOver = status !== 'started';
  const known = attempt.steps.get(step);
  const record: StepRecord = known ?? {
    id: step,
    name: plainText(name),
    status,
    began: time - (duration ?? 0),
    ended: undefined,
    error: undefined,
  };
  record.status = status;
  record.ended = isOver ? time : undefined;
  record.error = error;
  attempt.steps.set(step, record);
}

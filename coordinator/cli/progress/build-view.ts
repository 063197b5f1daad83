/** What the live display knows of a build: its frames folded into the present state. */
import type { BuildStatus, Frame, StateEvent, StepEvent, TaskStatus } from '../../../shared/progress.ts';
import { plainText } from './sanitize.ts';
import { parseStepName } from './step-name.ts';
import { TaskLog } from './task-log.ts';

export interface StepView {
  readonly id: string;
  /** `[2/5] RUN make` on one line. */
  readonly title: string;
  readonly status: StepEvent['status'];
  /** When it was first heard of, by the clock of this process: those of agents may be off. */
  readonly since: number;
  readonly duration: number | undefined;
}

export interface TaskView {
  readonly platform: string;
  readonly state: TaskStatus | BuildStatus;
  readonly reason: string | undefined;
  readonly agent: string | undefined;
  readonly native: boolean | undefined;
  readonly since: number;
  readonly ended: number | undefined;
  readonly steps: Map<string, StepView>;
  readonly log: TaskLog;
  /** Bytes pushed and to push, by layer. */
  readonly layers: Map<string, { readonly current: number; readonly total: number }>;
  readonly warnings: readonly string[];
}

export class BuildView {
  readonly #colours: boolean;
  readonly #tasks = new Map<string, TaskView>();
  #status: BuildStatus | undefined;
  #publishing: string | undefined;

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  /** In the order in which they were first heard of. */
  get tasks(): readonly TaskView[] {
    return [...this.#tasks.values()];
  }

  get status(): BuildStatus | undefined {
    return this.#status;
  }

  /** The last action of the publishing. */
  get publishing(): string | undefined {
    return this.#publishing;
  }

  /** `now` is when the frame arrived, in milliseconds of any clock that only goes forward. */
  take(frame: Frame, now: number): void {
    if (frame.type === 'result') {
      this.#status = frame.result.status;
    } else if (frame.type === 'publish') {
      this.#publishing = plainText(`${frame.action} ${frame.reference}`);
    } else if (frame.platform !== undefined) {
      this.#takeTask(frame, { platform: frame.platform, now });
    } else if (frame.type === 'state' && isBuildStatus(frame.state)) {
      this.#status = frame.state;
    }
  }

  #takeTask(frame: Frame, { platform, now }: { platform: string; now: number }): void {
    const task = this.#tasks.get(platform) ?? this.#newTask(platform, now);
    this.#tasks.set(platform, task);
    switch (frame.type) {
      case 'state':
        this.#tasks.set(platform, this.#changed(task, { frame, now }));
        return;
      case 'step': {
        const { label, text } = parseStepName(frame.name);
        task.log.step(frame);
        task.steps.set(frame.step, {
          id: frame.step,
          title: plainText(label === '' ? text : `[${label}] ${text}`),
          status: frame.status,
          since: task.steps.get(frame.step)?.since ?? now,
          duration: frame.duration,
        });
        return;
      }
      case 'log':
        task.log.add(frame);
        return;
      case 'push':
        if (frame.total !== undefined) {
          task.layers.set(frame.layer, { current: frame.current ?? 0, total: frame.total });
        }
        return;
      case 'warning':
        this.#tasks.set(platform, {
          ...task,
          warnings: [...task.warnings, plainText(frame.message)].slice(-5),
        });
        return;
      case 'context':
      case 'publish':
      case 'result':
        return;
      default:
        frame satisfies never;
    }
  }

  #changed(task: TaskView, { frame, now }: { frame: Frame & StateEvent; now: number }): TaskView {
    const starts = frame.state === 'running' && frame.agent !== undefined;
    const ends = frame.state !== 'running' && frame.state !== 'queued';
    const why = frame.error?.message ?? frame.reason;
    return {
      // An attempt starts over: the steps of the one before are no part of it.
      ...(starts ? this.#newTask(task.platform, now) : task),
      warnings: task.warnings,
      state: frame.state,
      reason: why === undefined ? undefined : plainText(why),
      ended: ends ? now : undefined,
      agent: frame.agent === undefined ? task.agent : plainText(frame.agent),
      native: frame.native ?? task.native,
    };
  }

  #newTask(platform: string, now: number): TaskView {
    return {
      platform: plainText(platform),
      state: 'queued',
      reason: undefined,
      agent: undefined,
      native: undefined,
      since: now,
      ended: undefined,
      steps: new Map(),
      log: new TaskLog({ colours: this.#colours }),
      layers: new Map(),
      warnings: [],
    };
  }
}

function isBuildStatus(state: BuildStatus | TaskStatus): state is BuildStatus {
  return state !== 'pushed' && state !== 'skipped';
}

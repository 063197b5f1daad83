/** The lines of a task's steps, cleaned, and the last of them kept: for the live view and for the failure report. */
import type { LogEvent, StepEvent } from '../../../shared/progress.ts';
import { Sanitizer } from './sanitize.ts';

/** What a failure report shows of the failing step. */
const maxLines = 30;
/** Characters of a kept line. */
const maxWidth = 4096;

interface StepLog {
  readonly sanitizers: Readonly<Record<LogEvent['stream'], Sanitizer>>;
  lines: string[];
}

/** Logs of the steps of one attempt. Steps that went well are forgotten. */
export class TaskLog {
  readonly #colours: boolean;
  readonly #steps = new Map<string, StepLog>();
  #failed: StepEvent | undefined;

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  get failed(): StepEvent | undefined {
    return this.#failed;
  }

  step(event: StepEvent): void {
    if (event.status === 'failed') this.#failed = event;
    if (event.status === 'done' || event.status === 'cached') this.#steps.delete(event.step);
  }

  /** Gives the event's lines, cleaned. */
  add(event: LogEvent): string[] {
    const log = this.#steps.get(event.step) ?? this.#open(event.step);
    const lines = log.sanitizers[event.stream].push(`${event.text}\n`);
    log.lines = [...log.lines, ...lines.slice(-maxLines).map((line) => line.slice(0, maxWidth))].slice(
      -maxLines,
    );
    return lines;
  }

  /** The last lines of a step, at most 30. */
  tail(step: string): readonly string[] {
    return this.#steps.get(step)?.lines ?? [];
  }

  #open(step: string): StepLog {
    const sanitizer = (): Sanitizer => new Sanitizer({ colours: this.#colours });
    const log: StepLog = { sanitizers: { stdout: sanitizer(), stderr: sanitizer() }, lines: [] };
    this.#steps.set(step, log);
    return log;
  }
}

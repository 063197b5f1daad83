/** Turns BuildKit's reports into our events: one `step` a change, output in whole lines. */
import type { Mask } from '../../shared/mask/mask.ts';
import type { LogEvent, StepEvent, TaskEvent } from '../../shared/progress.ts';
import { LogLines } from './log-lines.ts';
import { decodeStatus, type Vertex, type VertexLog, type VertexProgress } from './status.ts';

/** Output of one step and stream that has not ended in a line feed yet. */
interface OpenLog {
  readonly step: string;
  readonly stream: LogEvent['stream'];
  readonly lines: LogLines;
}

export interface TraceOptions {
  /** Only output is masked here. */
  readonly mask: Mask;
  readonly onEvent: (event: TaskEvent) => void;
  /** A step goes on, though no event says so: a layer that is pulled, or output before the end of its line. */
  readonly onSign?: (() => void) | undefined;
}

export class Trace {
  readonly #options: TraceOptions;
  readonly #reported = new Map<string, StepEvent['status']>();
  readonly #logs = new Map<string, OpenLog>();
  /** How far what is not over has come. */
  readonly #progress = new Map<string, number>();

  constructor(options: TraceOptions) {
    this.#options = options;
  }

  /** Takes one encoded status. Steps that start come before its output, steps that end after it. */
  push(message: Buffer): void {
    const { vertexes, progress, logs, warnings } = decodeStatus(message);
    for (const vertex of vertexes) if (vertex.started !== undefined) this.#step(vertex, 'started');
    if (progress.map((each) => this.#moved(each)).includes(true)) this.#options.onSign?.();
    for (const log of logs) this.#log(log);
    for (const vertex of vertexes) {
      const status = endOf(vertex);
      if (status === undefined) continue;
      this.#endLogs(vertex.digest);
      this.#step(vertex, status);
    }
    for (const { text, url } of warnings) {
      this.#options.onEvent({
        type: 'warning',
        time: Date.now(),
        message: url === '' ? text : `${text} (${url})`,
      });
    }
  }

  /** Gives the lines that nothing ended. */
  end(): void {
    for (const { step } of this.#logs.values()) this.#endLogs(step);
  }

  #step(vertex: Vertex, status: StepEvent['status']): void {
    const before = this.#reported.get(vertex.digest);
    // A vertex is repeated with all it was: only what is new is news.
    if (before === status || (status === 'started' && before !== undefined)) return;
    this.#reported.set(vertex.digest, status);
    const { started, completed } = vertex;
    const timed = status !== 'started' && started !== undefined && completed !== undefined;
    this.#options.onEvent({
      type: 'step',
      time: Date.now(),
      step: vertex.digest,
      name: vertex.name,
      status,
      ...(timed ? { duration: Math.max(0, completed - started) } : {}),
      ...(vertex.error === '' ? {} : { error: vertex.error }),
    });
  }

  #moved({ vertex, id, current, isOver }: VertexProgress): boolean {
    const key = `${vertex} ${id}`;
    const before = this.#progress.get(key);
    if (isOver) return this.#progress.delete(key);
    this.#progress.set(key, current);
    return before !== current;
  }

  #log({ vertex, stream, bytes }: VertexLog): void {
    const key = `${stream} ${vertex}`;
    const open = this.#logs.get(key) ?? { step: vertex, stream, lines: new LogLines(this.#options.mask) };
    this.#logs.set(key, open);
    const texts = open.lines.push(bytes);
    if (texts.length === 0) this.#options.onSign?.();
    this.#emit(open, texts);
  }

  #endLogs(step: string): void {
    for (const stream of ['stdout', 'stderr']) {
      const open = this.#logs.get(`${stream} ${step}`);
      if (open === undefined) continue;
      this.#logs.delete(`${stream} ${step}`);
      this.#emit(open, open.lines.end());
    }
  }

  #emit({ step, stream }: OpenLog, texts: readonly string[]): void {
    for (const text of texts) this.#options.onEvent({ type: 'log', time: Date.now(), step, stream, text });
  }
}

function endOf(vertex: Vertex): StepEvent['status'] | undefined {
  if (vertex.error !== '') return /context canceled/.test(vertex.error) ? 'cancelled' : 'failed';
  if (vertex.completed === undefined) return undefined;
  return vertex.cached ? 'cached' : 'done';
}

/** Turns BuildKit's reports into our events: one `step` a change, output in whole lines. */
import type { Mask } from '../../shared/mask/mask.ts';
import type { LogEvent, StepEvent, TaskEvent } from '../../shared/progress.ts';
import { LogLines } from './log-lines.ts';
import { decodeStatus, type Vertex, type VertexLog } from './status.ts';

/** Output of one step and stream that has not ended in a line feed yet. */
interface OpenLog {
  readonly step: string;
  readonly stream: LogEvent['stream'];
  readonly lines: LogLines;
}

export class Trace {
  readonly #mask: Mask;
  readonly #onEvent: (event: TaskEvent) => void;
  readonly #reported = new Map<string, StepEvent['status']>();
  readonly #logs = new Map<string, OpenLog>();

  /** Only output is masked here. */
  constructor(mask: Mask, onEvent: (event: TaskEvent) => void) {
    this.#mask = mask;
    this.#onEvent = onEvent;
  }

  /** Takes one encoded status. Steps that start come before its output, steps that end after it. */
  push(message: Buffer): void {
    const { vertexes, logs, warnings } = decodeStatus(message);
    for (const vertex of vertexes) if (vertex.started !== undefined) this.#step(vertex, 'started');
    for (const log of logs) this.#log(log);
    for (const vertex of vertexes) {
      const status = endOf(vertex);
      if (status === undefined) continue;
      this.#endLogs(vertex.digest);
      this.#step(vertex, status);
    }
    for (const { text, url } of warnings) {
      this.#onEvent({ type: 'warning', time: Date.now(), message: url === '' ? text : `${text} (${url})` });
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
    this.#onEvent({
      type: 'step',
      time: Date.now(),
      step: vertex.digest,
      name: vertex.name,
      status,
      ...(timed ? { duration: Math.max(0, completed - started) } : {}),
      ...(vertex.error === '' ? {} : { error: vertex.error }),
    });
  }

  #log({ vertex, stream, bytes }: VertexLog): void {
    const key = `${stream} ${vertex}`;
    const open = this.#logs.get(key) ?? { step: vertex, stream, lines: new LogLines(this.#mask) };
    this.#logs.set(key, open);
    this.#emit(open, open.lines.push(bytes));
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
    for (const text of texts) this.#onEvent({ type: 'log', time: Date.now(), step, stream, text });
  }
}

function endOf(vertex: Vertex): StepEvent['status'] | undefined {
  if (vertex.error !== '') return /context canceled/.test(vertex.error) ? 'cancelled' : 'failed';
  if (vertex.completed === undefined) return undefined;
  return vertex.cached ? 'cached' : 'done';
}

/** The log of one platform, or of the build as such, as lines to show, whatever it is that they come from. */
import { formatDuration } from '../../../shared/duration.ts';
import { plainText, Sanitizer } from '../../cli/progress/sanitize.ts';
import type {
  Frame,
  LogEvent,
  PublishEvent,
  StateEvent,
  StepEvent,
  WarningEvent,
} from '../../../shared/progress.ts';
import { textOf } from './ansi.ts';

export interface LogLine {
  readonly kind: 'step' | 'end' | 'output' | 'error' | 'warning' | 'state';
  /** Milliseconds since 1970. */
  readonly time: number;
  /** With colours (SGR) and nothing else that a terminal acts on. */
  readonly text: string;
  /** Of lines of a step, its id. */
  readonly step?: string | undefined;
}

/** Lines that a page keeps of a platform. */
const usual = 100_000;

export class LogLines {
  readonly lines: LogLine[] = [];
  /** Lines that were too many to keep. */
  dropped = 0;
  readonly #cleaners = new Map<string, Sanitizer>();
  readonly #numbers = new Map<string, number>();
  readonly #most: number;

  /** Beyond `most` lines the oldest tenth goes. */
  constructor(most = usual) {
    this.#most = most;
  }

  take(frame: Extract<Frame, { type: 'step' | 'log' | 'publish' | 'warning' | 'state' }>): void {
    switch (frame.type) {
      case 'step':
        this.#step(frame);
        break;
      case 'log':
        this.#output(frame);
        break;
      case 'warning':
        this.#warning(frame);
        break;
      case 'publish':
        this.#publish(frame);
        break;
      case 'state':
        this.#state(frame, frame.agent);
        break;
      default:
        frame satisfies never;
    }
    if (this.lines.length <= this.#most) return;
    const tenth = Math.ceil(this.#most / 10);
    this.lines.splice(0, tenth);
    this.dropped += tenth;
  }

  #step({ step, name, status, time, duration, error }: StepEvent): void {
    const isNew = !this.#numbers.has(step);
    const number = this.#numbers.get(step) ?? this.#numbers.size + 1;
    this.#numbers.set(step, number);
    const title = plainText(name);
    if (status === 'started') return this.#add({ kind: 'step', time, step, text: `#${number} ${title}` });
    // What was over before anybody could say that it began is told in one line.
    const what = isNew ? `#${number} ${title} ` : `#${number} `;
    const took = duration === undefined || status === 'cached' ? '' : ` ${formatDuration(duration)}`;
    const why = error === undefined ? '' : `: ${plainText(error)}`;
    const kind = status === 'failed' ? 'error' : isNew ? 'step' : 'end';
    return this.#add({ kind, time, step, text: `${what}${status}${took}${why}` });
  }

  #output({ step, stream, text, time }: LogEvent): void {
    const key = `${stream} ${step}`;
    const cleaner = this.#cleaners.get(key) ?? new Sanitizer({ colours: true });
    this.#cleaners.set(key, cleaner);
    for (const line of cleaner.push(`${text}\n`)) this.#add({ kind: 'output', time, step, text: line });
  }

  #warning({ message, time }: WarningEvent): void {
    this.#add({ kind: 'warning', time, text: `warning: ${plainText(message)}` });
  }

  #publish({ action, reference, digest, time }: PublishEvent): void {
    const what = digest === undefined ? '' : ` ${digest}`;
    this.#add({ kind: 'output', time, text: plainText(`${action} ${reference}${what}`) });
  }

  #state({ state, attempt = 1, native, reason, error, time }: StateEvent, agent: string | undefined): void {
    // A build that runs has no agent of its own.
    if (state === 'running' && agent !== undefined) {
      const again = attempt > 1 ? `attempt ${attempt} ` : '';
      const how = native === false ? ' (emulated)' : ' (native)';
      return this.#add({ kind: 'state', time, text: `${again}runs on ${agent}${how}` });
    }
    const why = error?.message ?? reason;
    if (state === 'queued' && why === undefined) return undefined;
    const kind = state === 'failed' ? 'error' : 'state';
    return this.#add({ kind, time, text: `${state}${why === undefined ? '' : `: ${plainText(why)}`}` });
  }

  #add(line: LogLine): void {
    this.lines.push(line);
  }
}

/** For comparing texts in whatever case they are written; of the same length, so that places in it are places in the text. */
export function folded(text: string): string {
  const lower = text.toLowerCase();
  // A few letters become two.
  return lower.length === text.length ? lower : text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Which lines hold a text, kept up while lines come. */
export class LogSearch {
  /** Indices of lines. */
  readonly found: number[] = [];
  #text = '';
  #seen = 0;
  #dropped = 0;

  /** Looks at what has come since it was asked for the same text. */
  update(text: string, { lines, dropped: gone }: Pick<LogLines, 'lines' | 'dropped'>): readonly number[] {
    const wanted = folded(text);
    if (wanted !== this.#text || gone !== this.#dropped) {
      this.#text = wanted;
      this.#dropped = gone;
      this.#seen = 0;
      this.found.length = 0;
    }
    if (wanted === '') return this.found;
    for (; this.#seen < lines.length; this.#seen += 1) {
      const line = lines[this.#seen];
      if (line !== undefined && folded(textOf(line.text)).includes(wanted)) this.found.push(this.#seen);
    }
    return this.found;
  }
}

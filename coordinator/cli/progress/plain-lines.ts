/** A line for each thing that happens in a build, with platform and step in front. */
import type { Frame, PushEvent, StateEvent, StepEvent } from '../../../shared/progress.ts';
import { formatDuration } from '../../../shared/duration.ts';
import { plainText } from './sanitize.ts';
import { parseStepName } from './step-name.ts';
import { TaskLog } from './task-log.ts';

interface PlainTask {
  log: TaskLog;
  /** By step: the prefix of its lines and when it began, by the agent's clock. */
  readonly steps: Map<string, { readonly prefix: string; readonly began: number }>;
  /** Last status shown of each layer. */
  readonly layers: Map<string, string>;
}

export class PlainLines {
  readonly #colours: boolean;
  readonly #tasks = new Map<string, PlainTask>();
  #lines: string[] = [];

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  /** What there is to say of this frame, after those before it. */
  of(frame: Frame): string[] {
    this.#lines = [];
    this.#take(frame);
    return this.#lines;
  }

  #take(frame: Frame): void {
    const subject = plainText(frame.platform ?? `build ${frame.build}`);
    switch (frame.type) {
      case 'state':
        this.#state(subject, frame);
        return;
      case 'step':
        this.#step(subject, frame);
        return;
      case 'log': {
        const task = this.#task(subject);
        const step = task.steps.get(frame.step);
        const seconds = Math.max(0, frame.time - (step?.began ?? frame.time)) / 1000;
        for (const line of task.log.add(frame)) {
          this.#print(step?.prefix ?? subject, `${seconds.toFixed(3)} ${line}`);
        }
        return;
      }
      case 'push':
        this.#push(subject, frame);
        return;
      case 'publish': {
        const digest = frame.digest === undefined ? '' : ` ${frame.digest}`;
        this.#print('publish', plainText(`${frame.action} ${frame.reference}${digest}`));
        return;
      }
      case 'warning':
        this.#print(subject, `WARNING: ${plainText(frame.message)}`);
        return;
      case 'context':
      case 'result':
        return;
      default:
        frame satisfies never;
    }
  }

  #state(subject: string, frame: Frame & StateEvent): void {
    const error = frame.error === undefined ? '' : `: ${plainText(frame.error.message)}`;
    const reason = frame.reason === undefined ? '' : `: ${plainText(frame.reason)}`;
    if (frame.platform === undefined || frame.state !== 'running' || frame.agent === undefined) {
      this.#print(subject, `${frame.state}${error || reason}`);
      return;
    }
    // Another attempt starts over, and so do its step names.
    this.#tasks.delete(subject);
    const how = frame.native === undefined ? '' : ` (${frame.native ? 'native' : 'emulated'})`;
    const again = (frame.attempt ?? 1) > 1 ? `, attempt ${frame.attempt}` : '';
    this.#print(subject, `runs on ${plainText(frame.agent)}${how}${again}`);
  }

  #step(subject: string, frame: Frame & StepEvent): void {
    const task = this.#task(subject);
    task.log.step(frame);
    const { label, text } = parseStepName(frame.name);
    const prefix = plainText(label === '' ? subject : `${subject} ${label}`);
    const known = task.steps.get(frame.step);
    const began = known?.began ?? frame.time - (frame.duration ?? 0);
    if (known === undefined) this.#print(prefix, plainText(text));
    task.steps.set(frame.step, { prefix, began });
    if (frame.status === 'started') return;
    const outcome = frame.status.toUpperCase();
    const took = frame.status === 'cached' ? '' : ` ${formatDuration(frame.duration ?? frame.time - began)}`;
    const error = frame.error === undefined ? '' : `: ${plainText(frame.error)}`;
    // Steps without a number share their prefix with others, so they are named again.
    this.#print(prefix, `${outcome}${took}${/\d/.test(label) ? '' : ` ${plainText(text)}`}${error}`);
  }

  #push(subject: string, frame: PushEvent): void {
    const { layers } = this.#task(subject);
    const isNews = layers.get(frame.layer) !== frame.status;
    layers.set(frame.layer, frame.status);
    if (!isNews || frame.status === 'Preparing' || frame.status === 'Waiting') return;
    this.#print(subject, plainText(`push ${frame.layer}: ${frame.status}`));
  }

  #task(subject: string): PlainTask {
    const known = this.#tasks.get(subject);
    if (known !== undefined) return known;
    const task = { log: new TaskLog({ colours: this.#colours }), steps: new Map(), layers: new Map() };
    this.#tasks.set(subject, task);
    return task;
  }

  #print(prefix: string, text: string): void {
    this.#lines.push(`[${prefix}] ${text}`);
  }
}

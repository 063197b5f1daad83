/** What went wrong where, said when a build has failed. */
import picocolors from 'picocolors';
import type { BuildResult, Frame, PlatformResult } from '../../../shared/progress.ts';
import { plainText } from './sanitize.ts';
import { TaskLog } from './task-log.ts';

/** Watches a build's frames, to say at its end which step of which platform failed and what it printed last. */
export class FailureReport {
  readonly #colours: boolean;
  readonly #logs = new Map<string, TaskLog>();

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  show(frame: Frame): void {
    const { platform } = frame;
    if (platform === undefined) return;
    const starts = frame.type === 'state' && frame.state === 'running';
    const log = (starts ? undefined : this.#logs.get(platform)) ?? new TaskLog({ colours: this.#colours });
    this.#logs.set(platform, log);
    if (frame.type === 'step') log.step(frame);
    if (frame.type === 'log') log.add(frame);
  }

  /** One paragraph for each platform that failed; empty when none did. */
  text(result: BuildResult): string {
    return result.platforms
      .filter((task) => task.status === 'failed')
      .map((task) => this.#paragraph(task))
      .join('\n\n');
  }

  #paragraph(task: PlatformResult): string {
    const paint = picocolors.createColors(this.#colours);
    const log = this.#logs.get(task.platform);
    const failed = log?.failed;
    const agent = task.agent === undefined ? '' : ` on ${task.agent}`;
    const step = failed === undefined ? '' : `: ${failed.name}`;
    const tail = failed === undefined ? [] : (log?.tail(failed.step) ?? []);
    const lines = [
      paint.red(plainText(`${task.platform} failed${agent}${step}`)),
      ...tail.map((line) => `  ${paint.dim('│')} ${line}`),
    ];
    if (task.error !== undefined) lines.push(`  ${plainText(task.error.message)}`);
    if (task.error?.hint !== undefined) lines.push(`  ${plainText(task.error.hint)}`);
    return lines.join('\n');
  }
}

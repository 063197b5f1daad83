/** What went wrong where, said when a build has failed. */
import picocolors from 'picocolors';
import type { DockerfilePlace, FindPlace } from '../dockerfile-places.ts';
import type { ErrorInfo } from '../../../shared/errors.ts';
import type { BuildResult, Frame, PlatformResult } from '../../../shared/progress.ts';
import { plainText } from './sanitize.ts';
import { TaskLog } from './task-log.ts';

/** Of one platform; texts are clean. */
export interface Failure {
  readonly platform: string;
  readonly agent: string | undefined;
  /** `[2/5] RUN make` */
  readonly step: string | undefined;
  /** The instruction of that step, where the Dockerfile is known. */
  readonly place: DockerfilePlace | undefined;
  /** What the step wrote last, at most 30 lines. */
  readonly tail: readonly string[];
  readonly error: ErrorInfo | undefined;
}

/** Watches a build's frames, to say at its end which step of which platform failed and what it printed last. */
export class FailureReport {
  readonly #colours: boolean;
  readonly #findPlace: FindPlace;
  readonly #logs = new Map<string, TaskLog>();

  constructor(options: { readonly colours: boolean; readonly findPlace?: FindPlace | undefined }) {
    this.#colours = options.colours;
    this.#findPlace = options.findPlace ?? (() => undefined);
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

  /** The platforms that failed, in the order of the result. */
  failures(result: BuildResult): readonly Failure[] {
    return result.platforms.filter((task) => task.status === 'failed').map((task) => this.#failure(task));
  }

  /** One paragraph for each platform that failed; empty when none did. */
  text(result: BuildResult): string {
    return this.failures(result)
      .map((failure) => this.#paragraph(failure))
      .join('\n\n');
  }

  #failure({ platform, agent, error }: PlatformResult): Failure {
    const log = this.#logs.get(platform);
    const failed = log?.failed;
    return {
      platform: plainText(platform),
      agent: agent === undefined ? undefined : plainText(agent),
      step: failed === undefined ? undefined : plainText(failed.name),
      place: this.#findPlace({ platform, step: failed?.name, message: error?.message }),
      tail: failed === undefined ? [] : (log?.tail(failed.step) ?? []),
      error: error && {
        ...error,
        message: plainText(error.message),
        ...(error.hint === undefined ? {} : { hint: plainText(error.hint) }),
      },
    };
  }

  #paragraph(failure: Failure): string {
    const paint = picocolors.createColors(this.#colours);
    const { tail, error } = failure;
    const lines = [paint.red(heading(failure)), ...tail.map((line) => `  ${paint.dim('│')} ${line}`)];
    if (error !== undefined) lines.push(`  ${error.message}`);
    if (error?.hint !== undefined) lines.push(`  ${error.hint}`);
    return lines.join('\n');
  }
}

/** `linux/amd64 failed on rack-07 at Dockerfile:3: [2/5] RUN make` */
export function heading({ platform, agent, step, place }: Failure): string {
  const where = agent === undefined ? '' : ` on ${agent}`;
  const at = place === undefined ? '' : ` at ${plainText(place.name)}:${place.line}`;
  return `${platform} failed${where}${at}${step === undefined ? '' : `: ${step}`}`;
}

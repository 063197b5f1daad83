/** GitHub Actions, and what reads logs as it does: groups, annotations and the summary of a job. */
import { randomBytes } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../../../shared/errors.ts';
import type { BuildResult } from '../../../../shared/progress.ts';
import type { Failure } from '../failure-report.ts';
import type { Variables } from '../renderer.ts';
import { plainText } from '../sanitize.ts';
import type { CiSystem, Group } from './ci-system.ts';
import { jobSummary } from './job-summary.ts';
import { shortened } from './shortened.ts';
import { escapeData, escapeProperty, guard } from './workflow-commands.ts';

/** The runner cuts messages at 4,096 characters; the end of a failing step's output is what tells. */
const maxMessage = 4000;
const maxTitle = 120;
const tailLines = 10;

export class GitHub implements CiSystem {
  readonly #environment: Variables;

  constructor(environment: Variables) {
    this.#environment = environment;
  }

  /** Nothing in it is a command: each line is guarded, and the runner is told not to look for any. */
  group({ title, lines }: Group): string {
    const token = randomBytes(16).toString('hex');
    return [
      `::group::${escapeData(guard(title))}`,
      `::stop-commands::${token}`,
      ...lines.map(guard),
      `::${token}::`,
      '::endgroup::\n',
    ].join('\n');
  }

  annotations(failures: readonly Failure[], result: BuildResult): readonly string[] {
    if (failures.length === 0 && result.status === 'failed') {
      const message = result.error?.message ?? 'the build failed';
      return [annotation('error', { title: `${result.name} was not published` }, message)];
    }
    // What is published without an optional platform is no failure of the job.
    const kind = result.status === 'succeeded' ? 'warning' : 'error';
    return failures.map((failure) => {
      const { platform, step, place, error, tail } = failure;
      const title = `${platform} failed${step === undefined ? '' : `: ${step}`}`;
      const file = place?.path === undefined ? undefined : this.#inWorkspace(place.path);
      const where = file === undefined || place === undefined ? {} : { file, line: String(place.line) };
      const said = error === undefined ? [] : [error.message];
      return annotation(kind, { ...where, title }, [...said, ...tail.slice(-tailLines)].join('\n'));
    });
  }

  async summarize(failures: readonly Failure[], result: BuildResult): Promise<void> {
    const file = this.#environment['GITHUB_STEP_SUMMARY'];
    if (!file) return;
    try {
      await appendFile(file, jobSummary(failures, result));
    } catch (error) {
      throw new Error(`cannot write the summary of the job (GITHUB_STEP_SUMMARY): ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Pages show files by their path in the repository; undefined for one outside of it. */
  #inWorkspace(file: string): string | undefined {
    const workspace = this.#environment['GITHUB_WORKSPACE'] || process.cwd();
    const relative = path.relative(resolved(workspace), resolved(file));
    const isInside = relative !== '' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
    return isInside ? relative : undefined;
  }
}

/** A file may be gone by now. */
function resolved(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

interface Properties {
  readonly title: string;
  readonly file?: string;
  readonly line?: string;
}

/** An `error` or a `warning` at a place, or at the job as a whole. */
function annotation(kind: 'error' | 'warning', { title, ...place }: Properties, message: string): string {
  const properties = Object.entries({ ...place, title: shortened(clean(title), maxTitle) });
  const list = properties.map(([name, value]) => `${name}=${escapeProperty(value)}`).join(',');
  const lines = message.split('\n').map(clean).join('\n');
  return `::${kind} ${list}::${escapeData(shortened(lines, maxMessage))}`;
}

function clean(text: string): string {
  return guard(plainText(text));
}

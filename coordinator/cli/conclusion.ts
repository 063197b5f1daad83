/** How `archfarm build` ends: files for scripts, the digest, a table or a report, and the exit status. */
import { exitStatusOf, messageOf, type ErrorInfo } from '../../shared/errors.ts';
import type { BuildResult, PlatformResult } from '../../shared/progress.ts';
import type { BuildOptions } from './build-options.ts';
import { print, say } from './output.ts';
import type { ProgressMode } from './progress/create-renderer.ts';
import { findCiSystem } from './progress/ci/find-ci-system.ts';
import { writeDigestFile, writeMetadataFile } from './progress/metadata.ts';
import { plainText } from './progress/sanitize.ts';
import type { FailureReport } from './progress/failure-report.ts';
import { summaryTable } from './progress/summary.ts';

/** The exit status of a build that was published without an optional platform. */
const publishedInPart = 5;

export interface Conclusion {
  readonly options: Pick<BuildOptions, 'metadataFile' | 'iidfile'>;
  readonly mode: ProgressMode;
  readonly report: FailureReport;
}

/** Gives the exit status. With `rawjson` the last frame says all, and standard error stays one event a line. */
export async function conclude(result: BuildResult, { options, mode, report }: Conclusion): Promise<number> {
  const digest = result['containerimage.digest'];
  const unwritten = await writeFiles(result, options);
  if (mode !== 'rawjson') {
    const table = mode === 'quiet' ? [] : ['', await summaryTable(result)];
    const lines = [...table, ...ending(result, { report, quiet: mode === 'quiet' })];
    if (lines.length > 0) say(lines.join('\n'));
  }
  if (result.status === 'succeeded' && digest !== undefined) print(digest);
  await tellCiSystem(result, { mode, report });
  // Last: what could not be written must not hide what was published.
  if (unwritten !== undefined) throw unwritten.error;
  return statusOf(result);
}

/** Each of them, also where another cannot be written: that is what is given back. */
async function writeFiles(
  result: BuildResult,
  { metadataFile, iidfile }: Conclusion['options'],
): Promise<{ readonly error: unknown } | undefined> {
  const digest = result['containerimage.digest'];
  const written = await Promise.allSettled([
    ...(metadataFile === undefined ? [] : [writeMetadataFile(metadataFile, result)]),
    ...(iidfile === undefined || digest === undefined ? [] : [writeDigestFile(iidfile, digest)]),
  ]);
  const failed = written.find((each) => each.status === 'rejected');
  return failed && { error: failed.reason };
}

/** What is not part of the log's text: what points at the failing line, and the page of the job. */
async function tellCiSystem(
  result: BuildResult,
  { mode, report }: Pick<Conclusion, 'mode' | 'report'>,
): Promise<void> {
  const system = await findCiSystem(process.env);
  if (system === undefined) return;
  const failures = report.failures(result);
  const annotations = mode === 'rawjson' ? [] : system.annotations(failures, result);
  // Commands, in which only the texts of others are guarded.
  for (const annotation of annotations) process.stderr.write(`${annotation}\n`);
  try {
    await system.summarize(failures, result);
  } catch (error) {
    // The build is what counts.
    if (mode !== 'rawjson') say(`archfarm: WARNING: ${plainText(messageOf(error))}`);
  }
}

function statusOf(result: BuildResult): number {
  if (result.status === 'superseded') return 0;
  if (result.status !== 'succeeded') return exitStatusOf[errorOf(result).code];
  return missingOf(result).length === 0 ? 0 : publishedInPart;
}

/** Platforms that the list had to go without: only optional ones can be missing of what was published. */
function missingOf({ platforms }: BuildResult): PlatformResult[] {
  return platforms.filter(({ status }) => status !== 'pushed');
}

/** Several lines of what a step printed are in the report of a failure, where there is one. */
function withoutOptional(result: BuildResult, report: FailureReport): string[] {
  const failures = report.text(result);
  const warnings = missingOf(result).map(({ platform, error }) => {
    const why = error === undefined ? '' : `: ${plainText(error.message)}`;
    return `WARNING: published without ${platform}, which is optional${why}`;
  });
  return [...(failures === '' ? [] : ['', failures, '']), ...warnings];
}

function ending(result: BuildResult, { report, quiet }: { report: FailureReport; quiet: boolean }): string[] {
  switch (result.status) {
    case 'succeeded':
      return [...withoutOptional(result, report), ...(quiet ? [] : result.tags)];
    case 'superseded':
      return [`WARNING: a newer build has published ${result.tags.join(', ')}: left as by that build`];
    default: {
      const { message, hint } = errorOf(result);
      const what = result.status === 'cancelled' ? 'cancelled' : 'the build failed';
      const failures = report.text(result);
      return [
        ...(failures === '' ? [] : ['', failures, '']),
        `archfarm: ${what}: ${plainText(message)}`,
        ...(hint === undefined ? [] : [`  ${plainText(hint)}`]),
      ];
    }
  }
}

function errorOf(result: BuildResult): ErrorInfo {
  return result.error ?? { code: 'internal', message: `the build ended as ${result.status}` };
}

/** The page of a job in GitHub Actions (`GITHUB_STEP_SUMMARY`): what a build made or why it did not, in Markdown. */
import type { BuildResult } from '../../../../shared/progress.ts';
import { heading, type Failure } from '../failure-report.ts';
import { plainText } from '../sanitize.ts';
import { summaryRows } from '../summary.ts';
import { shortened } from './shortened.ts';

/** Characters of a line; with at most 30 lines of each platform it stays far below the 1 MiB that a step may write. */
const maxLine = 500;

export function jobSummary(failures: readonly Failure[], result: BuildResult): string {
  const { header, rows } = summaryRows(result);
  const table = [header, header.map(() => '---'), ...rows.map((row) => row.map(literal))];
  const digest = result['containerimage.digest'];
  const published =
    result.status === 'succeeded' ? [...result.tags, ...(digest === undefined ? [] : [digest])] : [];
  const error = result.status === 'succeeded' ? undefined : result.error?.message;
  return [
    `### ${literal(result.name)}: ${result.status}`,
    table.map((row) => `| ${row.join(' | ')} |`).join('\n'),
    ...published.map((text) => `<code>${literal(text)}</code>`),
    ...(error === undefined ? [] : [literal(error)]),
    ...failures.map(failed),
    '\n',
  ].join('\n\n');
}

function failed(failure: Failure): string {
  const message = failure.error === undefined ? [] : [literal(failure.error.message)];
  const output = failure.tail.length === 0 ? [] : [fenced(failure.tail)];
  return [`**${literal(heading(failure))}**`, ...message, ...output].join('\n\n');
}

/** As code, in a fence that none of the lines can end. */
function fenced(lines: readonly string[]): string {
  const text = lines.map((line) => shortened(plainText(line), maxLine)).join('\n');
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}

/** Text of strangers that is no Markdown, HTML, link or mention: references to characters stand for them and nothing else. */
function literal(text: string): string {
  return shortened(plainText(text), maxLine).replace(
    /[!-'*.:-@[-`{-~]/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}

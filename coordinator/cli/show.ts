/** `archfarm show`: one build, with its result. */
import type { BuildResult } from '../../shared/progress.ts';
import { formatSize } from '../../shared/size.ts';
import { formatDuration } from '../../shared/duration.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { summaryTable } from './progress/summary.ts';

export async function runShow(id: string, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const result = await api.build(id, global.signal);
  if (global.json) return printJson(result);
  print(await description(result));
}

/** Of a build that goes on: what it still needs its client for. */
function contextOf({ context: { complete, missing } }: BuildResult): string | undefined {
  if (complete === true) return 'complete: the build needs its client no more';
  if (missing === undefined) return undefined;
  const { files, bytes, paths } = missing;
  const more = files > paths.length ? ` and ${files - paths.length} more` : '';
  const what = files === 1 ? '1 file' : `${files} files`;
  return `${what} (${formatSize(bytes)}) still with the client: ${paths.join(', ')}${more}`;
}

/** Of the images, compressed. */
function sizesOf({ platforms }: BuildResult): string | undefined {
  const known = platforms.flatMap(({ platform, imageSize }) =>
    imageSize === undefined ? [] : [`${platform} ${formatSize(imageSize)}`],
  );
  return known.length === 0 ? undefined : known.join(', ');
}

async function description(result: BuildResult): Promise<string> {
  const facts: [label: string, value: string | undefined][] = [
    ['build', result.build],
    ['name', result.name],
    ['client', result.client],
    ['from', result.origin === undefined ? undefined : `${result.origin.type} of ${result.origin.build}`],
    ['status', result.status],
    ['created', new Date(result.created).toISOString()],
    ['time', formatDuration(result.timings.total)],
    ['tags', result.tags.join(' ')],
    ['digest', result['containerimage.digest']],
    ['sizes', sizesOf(result)],
    ['context', contextOf(result)],
    ['error', result.error?.message],
    ['hint', result.error?.hint],
  ];
  const errors = result.platforms.flatMap(({ platform, error }) =>
    error === undefined ? [] : [plainText(`${platform}: ${error.message}`)],
  );
  const lines = facts.flatMap(([label, value]) =>
    value === undefined ? [] : [`${label.padEnd(8)} ${plainText(value)}`],
  );
  return [...lines, '', await summaryTable(result), ...(errors.length === 0 ? [] : ['', ...errors])].join(
    '\n',
  );
}

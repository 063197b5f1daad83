/** `archfarm show`: one build, with its result. */
import type { BuildResult } from '../../shared/progress.ts';
import { formatDuration } from './duration.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { summaryTable } from './progress/summary.ts';

export async function runShow(id: string, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const result = await api.build(id, global.signal);
  if (global.json) return printJson(result);
  print(description(result));
}

function description(result: BuildResult): string {
  const facts: [label: string, value: string | undefined][] = [
    ['build', result.build],
    ['name', result.name],
    ['status', result.status],
    ['created', new Date(result.created).toISOString()],
    ['time', formatDuration(result.timings.total)],
    ['tags', result.tags.join(' ')],
    ['digest', result['containerimage.digest']],
    ['error', result.error?.message],
    ['hint', result.error?.hint],
  ];
  const errors = result.platforms.flatMap(({ platform, error }) =>
    error === undefined ? [] : [plainText(`${platform}: ${error.message}`)],
  );
  const lines = facts.flatMap(([label, value]) =>
    value === undefined ? [] : [`${label.padEnd(8)} ${plainText(value)}`],
  );
  return [...lines, '', summaryTable(result), ...(errors.length === 0 ? [] : ['', ...errors])].join('\n');
}

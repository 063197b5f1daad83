/** `archfarm builds`: what was built lately, newest first. */
import type { BuildResult, BuildStatus } from '../../shared/progress.ts';
import { formatDuration } from '../../shared/duration.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { formatTable } from './table.ts';

export interface BuildsOptions {
  readonly limit: number;
  readonly status?: BuildStatus | undefined;
  readonly before?: string | undefined;
}

export async function runBuilds(options: BuildsOptions, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const builds = await api.builds(options, global.signal);
  if (global.json) return printJson(builds);
  if (global.quiet) return builds.forEach(({ build }) => print(plainText(build)));
  print(
    await formatTable(
      ['BUILD', 'NAME', 'STATUS', 'CREATED', 'TIME', 'IMAGE'],
      builds.map((build) => row(build).map(plainText)),
    ),
  );
}

function row(build: BuildResult): string[] {
  return [
    build.build,
    build.name,
    build.status,
    new Date(build.created).toISOString().replace(/\.\d+Z$/, 'Z'),
    formatDuration(build.timings.total),
    build['image.name'],
  ];
}

/** The table at the end of a build: who built what. */
import type { BuildResult, PlatformResult } from '../../../shared/progress.ts';
import { formatDuration } from '../../duration.ts';
import { formatTable } from '../table.ts';
import { plainText } from './sanitize.ts';

/** A line for each platform: agent, native or emulated, time, digest. */
export async function summaryTable(result: BuildResult): Promise<string> {
  const rows = result.platforms.map((task) => [
    task.platform,
    task.agent ?? '-',
    task.native === undefined ? '-' : task.native ? 'native' : 'emulated',
    timeOf(task),
    task.digest ?? task.status,
  ]);
  return formatTable(
    ['PLATFORM', 'AGENT', 'MODE', 'TIME', 'DIGEST'],
    rows.map((row) => row.map(plainText)),
  );
}

/** Of the work itself: waiting for an agent is not part of it. */
function timeOf({ timings }: PlatformResult): string {
  const phases = [timings.context, timings.build, timings.test, timings.push];
  const known = phases.filter((phase) => phase !== undefined);
  return known.length === 0 ? '-' : formatDuration(known.reduce((sum, phase) => sum + phase, 0));
}

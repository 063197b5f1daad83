/** The table at the end of a build: who built what. */
import type { BuildResult, PlatformResult } from '../../../shared/progress.ts';
import type { ProofResult } from '../../../shared/proof.ts';
import { formatDuration } from '../../../shared/duration.ts';
import { formatTable } from '../table.ts';
import { plainText } from './sanitize.ts';

/** A line for each platform: agent, native or emulated, time, digest, and whether it was seen to run. */
export async function summaryTable(result: BuildResult): Promise<string> {
  const { header, rows } = summaryRows(result);
  return formatTable(header, rows);
}

/** The cells of that table, clean. */
export function summaryRows(result: BuildResult): {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
} {
  const isVerified = result.platforms.some(({ verify }) => verify !== undefined);
  const rows = result.platforms.map((task) => [
    task.platform,
    task.agent ?? '-',
    task.native === undefined ? '-' : task.native ? 'native' : 'emulated',
    timeOf(task),
    task.digest ?? task.status,
    ...(isVerified ? [task.verify === undefined ? '-' : provenIn(task.verify)] : []),
  ]);
  return {
    header: ['PLATFORM', 'AGENT', 'MODE', 'TIME', 'DIGEST', ...(isVerified ? ['VERIFY'] : [])],
    rows: rows.map((row) => row.map(plainText)),
  };
}

/** What a published image said last where it ran. */
export function provenIn({ status, manner, agent, native, lastLine, error }: ProofResult): string {
  const how = native === false ? `${manner ?? status}, emulated` : (manner ?? status);
  if (status === 'passed') return lastLine === undefined ? `passed (${how})` : `passed: ${lastLine}`;
  return agent === undefined ? (error?.code ?? 'failed') : `failed: ${lastLine ?? error?.message ?? ''}`;
}

/** Of the work itself: waiting for an agent is not part of it. */
function timeOf({ timings }: PlatformResult): string {
  const phases = [timings.context, timings.build, timings.test, timings.push];
  const known = phases.filter((phase) => phase !== undefined);
  return known.length === 0 ? '-' : formatDuration(known.reduce((sum, phase) => sum + phase, 0));
}

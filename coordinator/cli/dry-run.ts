/** `archfarm build --dry-run`: what would be built where, and published as what. */
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import type { Snapshot } from '../context/snapshot.ts';
import { platformImage } from '../farm/task.ts';
import { describeContext } from '../project/context-source.ts';
import type { BuildPlan } from '../project/spec.ts';
import type { Api } from './api.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';

export async function printPlan(
  plan: BuildPlan,
  context: Snapshot,
  { api, signal }: { api: Api; signal: AbortSignal },
): Promise<void> {
  const { platforms, allowEmulation } = plan;
  const planned = await api.plan({ platforms, allowEmulation }, signal);
  const rows = planned.platforms.map(({ platform, candidates }) => [
    formatPlatform(parsePlatform(platform)),
    candidates.map(({ name, native }) => (native ? name : `${name} (emulated)`)).join(', ') || 'no agent',
    platformImage(plan, platform),
  ]);
  print(
    [
      `${plan.name}: ${context.files} files, ${context.bytes} bytes in ${describeContext(plan.context)}`,
      formatTable(['PLATFORM', 'AGENTS', 'PUSHED AS'], rows),
      ...plan.tags.map((tag) => `published as ${tag}`),
    ].join('\n'),
  );
}

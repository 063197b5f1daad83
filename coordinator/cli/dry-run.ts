/** `archfarm build --dry-run`: what would be built where, published as what, and what is in the way of that. */
import { fromErrorInfo, type ErrorInfo } from '../../shared/errors.ts';
import type { Snapshot } from '../context/snapshot.ts';
import { platformImage } from '../farm/task.ts';
import { describeContext } from '../project/context-source.ts';
import type { BuildPlan } from '../project/spec.ts';
import type { Api } from './api.ts';
import type { PlanAnswer } from './api-answers.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';

/** Throws, once all is printed, the first thing for which the build itself would be refused. */
export async function printPlan(
  plan: BuildPlan,
  trees: readonly Snapshot[],
  { api, signal }: { api: Api; signal: AbortSignal },
): Promise<void> {
  const { platforms, allowEmulation, tags, suffix, force } = plan;
  const planned = await api.plan({ platforms, allowEmulation, tags, suffix, force }, signal);
  const places = [
    [plan.name, describeContext(plan.context)],
    ...plan.contexts.map(({ name, path }) => [name, path]),
  ];
  const images = planned.platforms.map((planned) => [
    planned.platform,
    agentsOf(planned),
    platformImage(plan, planned.platform),
  ]);
  const repositories = planned.repositories.map(({ repository, error }) => [
    repository,
    error === undefined ? 'yes' : `no: ${error.message}`,
  ]);
  print(
    [
      ...trees.map(
        ({ files, bytes }, index) =>
          `${places[index]?.[0]}: ${files} files, ${bytes} bytes in ${places[index]?.[1]}`,
      ),
      await formatTable(['PLATFORM', 'AGENTS', 'PUSHED AS'], images),
      await formatTable(['REPOSITORY', 'MAY PUSH'], repositories),
      ...planned.tags.map(describeTag),
    ].join('\n'),
  );
  const failure = firstError(planned);
  if (failure !== undefined) throw fromErrorInfo(failure);
}

function agentsOf({ candidates, emulators }: PlanAnswer['platforms'][number]): string {
  if (candidates.length > 0) {
    return candidates.map(({ name, native }) => (native ? name : `${name} (emulated)`)).join(', ');
  }
  if (emulators.length === 0) return 'no agent';
  return `no agent (with --allow-emulation: ${emulators.join(', ')})`;
}

function describeTag({ tag, platforms, error }: PlanAnswer['tags'][number]): string {
  const published = `published as ${tag}`;
  if (platforms !== undefined) {
    return `${published}, which is ${platforms.join(', ') || 'there without platforms'} today`;
  }
  return error === undefined ? `${published}, a new tag` : published;
}

function firstError({ repositories, tags }: PlanAnswer): ErrorInfo | undefined {
  return [...repositories, ...tags].find(({ error }) => error !== undefined)?.error;
}

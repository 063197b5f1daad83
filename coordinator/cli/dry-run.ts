/** `archfarm build --dry-run`: what would be built where, published as what, and what is in the way of that. */
import path from 'node:path';
import { fromErrorInfo, type ErrorInfo } from '../../shared/errors.ts';
import type { Demand } from '../../shared/policy.ts';
import type { Snapshot } from '../context/snapshot.ts';
import { demandsOn } from '../farm/demands.ts';
import { platformImage, requireChildTags } from '../farm/task.ts';
import { describeContext } from '../project/context-source.ts';
import type { BuildPlan, BuildSpec } from '../project/spec.ts';
import type { Api } from './api.ts';
import type { PlanAnswer } from './api-answers.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';

/** Throws, once all is printed, the first thing for which the build itself would be refused. */
export async function printPlan(
  plan: BuildPlan,
  trees: readonly Snapshot[],
  { api, spec, signal }: { api: Api; spec: BuildSpec; signal: AbortSignal },
): Promise<void> {
  const { platforms, allowEmulation, tags, suffix, force, agentLabels } = plan;
  const demands = demandsByPlatform(spec);
  const asked = { platforms, allowEmulation, tags, suffix, force, agentLabels, demands };
  const planned = await api.plan(asked, signal);
  const places = [
    [plan.name, describeContext(plan.context)],
    ...plan.contexts.map((context) => [context.name, context.path]),
  ];
  const images = planned.platforms.map((planned) => [
    planned.platform,
    agentsOf(planned),
    platformImage(plan, planned.platform),
  ]);
  const builds = planned.platforms.map(({ platform }) => {
    const { dockerfile, target, args } = buildOn(platform, plan);
    return [platform, describeDockerfile(dockerfile), target ?? '', describeArguments(args)];
  });
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
      await formatTable(['PLATFORM', 'DOCKERFILE', 'TARGET', 'ARGUMENTS'], builds),
      await formatTable(['REPOSITORY', 'MAY PUSH'], repositories),
      ...planned.tags.map(describeTag),
    ].join('\n'),
  );
  const failure = firstError(planned);
  if (failure !== undefined) throw fromErrorInfo(failure);
  requireChildTags(
    plan,
    planned.platforms.map(({ platform }) => platform),
  );
}

/** Without what differs there, a platform asks for what the build does. */
function demandsByPlatform(spec: BuildSpec): Record<string, Demand[]> {
  const platforms = ['*', ...Object.keys(spec.perPlatform ?? {})];
  return Object.fromEntries(platforms.map((platform) => [platform, demandsOn(spec, platform)]));
}

/** What is asked of an engine there: flags, the project file, and what that has for the one platform. */
function buildOn(
  platform: string,
  { dockerfile, target, args, perPlatform }: BuildPlan,
): Pick<BuildPlan, 'dockerfile' | 'target' | 'args'> {
  const override = perPlatform[platform];
  return {
    dockerfile: override?.dockerfile ?? dockerfile,
    target: override?.target ?? target,
    args: { ...args, ...override?.args },
  };
}

function describeDockerfile(dockerfile: BuildPlan['dockerfile']): string {
  switch (dockerfile.type) {
    case 'stdin':
      return 'the standard input';
    case 'inline':
      return 'in the project file';
    case 'file':
      return path.relative(process.cwd(), dockerfile.path);
    case 'context':
      return dockerfile.path;
    default:
      return dockerfile satisfies never;
  }
}

/** On one line each, and none that fills the screen. */
function describeArguments(args: BuildPlan['args']): string {
  return Object.entries(args)
    .map(
      ([name, value]) =>
        `${name}=${value.length > 40 || /\s/.test(value) ? JSON.stringify(value.slice(0, 40)) : value}`,
    )
    .join(' ');
}

function agentsOf({ candidates, emulators, refusing }: PlanAnswer['platforms'][number]): string {
  const refused = refusing.map(({ name, refused }) => `${name} refuses ${refused.join(', ')}`).join('; ');
  if (candidates.length > 0) {
    const named = candidates.map(({ name, native }) => (native ? name : `${name} (emulated)`)).join(', ');
    return refused === '' ? named : `${named} (${refused})`;
  }
  if (refused !== '') return `no agent (${refused})`;
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

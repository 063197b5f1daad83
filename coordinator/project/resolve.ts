/** What `archfarm build NAME --flags` means here: a service of the project file or a directory, as a BuildPlan. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { checkListType, mergeAnnotations, onlyOf } from './annotations.ts';
import { finalTag } from './final-tag.ts';
import { findSubject, type Surroundings } from './find-subject.ts';
import { settleVerify, type VerifyRequest } from './image-proof.ts';
import { settleTest, type TestRequest } from './image-test.ts';
import type { Environment } from './interpolate.ts';
import { isDirectory, isFile } from './path-kind.ts';
import type { ProjectBuild } from './project-build.ts';
import { secretArgumentWarnings } from './secret-arguments.ts';
import type { BuildPlan, DockerfileSource, PlatformOverrides } from './spec.ts';

/** What flags say about a build. They replace single values and lists of names, and add to the rest. */
export interface PlanFlags extends Omit<
  BuildPlan,
  | 'name'
  | 'context'
  | 'dockerfile'
  | 'extraHosts'
  | 'perPlatform'
  | 'suffix'
  | 'type'
  | 'test'
  | 'priority'
  | 'verify'
> {
  readonly priority?: number | undefined;
  readonly suffix?: BuildPlan['suffix'] | undefined;
  readonly type?: BuildPlan['type'] | undefined;
  readonly test?: TestRequest | undefined;
  readonly verify?: VerifyRequest | undefined;
  /** Relative to the current directory, or to the root of a context that is no directory. */
  readonly dockerfile?: string | undefined;
  /** Ids that were given alone: what the file says of them goes before where one looks without a word. */
  readonly withoutSource?:
    { readonly secrets: readonly string[]; readonly ssh: readonly string[] } | undefined;
  /** A project file instead of the one that is looked for. */
  readonly project?: string | undefined;
}

export interface ResolvedPlan {
  readonly plan: BuildPlan;
  readonly warnings: readonly string[];
  /** Where the plan's secrets have their values from. */
  readonly environment: Environment;
}

/** `target` is a service, a path, a git URL or `-`. Throws `unknown-name`, `config` or `usage`. */
export async function resolvePlan(
  target: string | undefined,
  flags: PlanFlags,
  surroundings: Surroundings,
): Promise<ResolvedPlan> {
  const { name, build, warnings, environment } = await findSubject(target, flags.project, {
    ...surroundings,
    tagsGiven: flags.tags.length > 0,
  });
  const tags = (flags.tags.length > 0 ? flags.tags : build.tags).map(finalTag);
  const given = flags.platforms.length > 0 ? flags.platforms : build.platforms;
  const required = unique(given.map((text) => formatPlatform(parsePlatform(text))));
  const optional = flags.optional.length > 0 ? unique(flags.optional) : optionalOf(build, flags, required);
  // Without any, the rest is every platform that agents have.
  const platforms = required.length === 0 ? [] : unique([...required, ...optional]);
  if (tags.length === 0) {
    throw new ArchfarmError('usage', `no name for the image of ${name}`, {
      hint: 'give one with -t HOST/NAME:TAG, or with image: in the project file',
    });
  }
  const plan: BuildPlan = {
    name,
    tags: unique(tags),
    platforms,
    optional,
    agentLabels: { ...build.agentLabels, ...flags.agentLabels },
    priority: flags.priority ?? build.priority ?? 0,
    args: { ...build.args, ...flags.args },
    labels: { ...build.labels, ...flags.labels },
    target: flags.target ?? build.target,
    noCache: flags.noCache || build.noCache,
    pull: flags.pull || build.pull,
    network: flags.network ?? build.network,
    extraHosts: build.extraHosts,
    secrets: mergeById(build.secrets, flags.secrets, flags.withoutSource?.secrets),
    ssh: mergeById(build.ssh, flags.ssh, flags.withoutSource?.ssh),
    contexts: [
      ...new Map([...build.contexts, ...flags.contexts].map((context) => [context.name, context])).values(),
    ],
    cacheFrom: unique(flags.cacheFrom.length > 0 ? flags.cacheFrom : build.cacheFrom),
    suffix: flags.suffix ?? build.suffix ?? 'repo',
    type: flags.type ?? build.type ?? 'auto',
    annotations: mergeAnnotations(onlyOf(build.annotations, platforms), flags.annotations),
    attestations: flags.attestations ?? build.attestations,
    childTags: flags.childTags || build.childTags,
    force: flags.force,
    inlineCache: flags.inlineCache || build.inlineCache,
    test: settleTest(build.test, flags.test),
    verify: settleVerify(build.verify, flags.verify),
    allowEmulation: flags.allowEmulation,
    waitAgent: flags.waitAgent,
    timeout: flags.timeout,
    ...(await settleContext(
      { ...build, perPlatform: overridesUnder(flags, build, platforms) },
      flags.dockerfile,
      surroundings.cwd,
    )),
  };
  checkListType(plan);
  return { plan, warnings: [...warnings, ...secretArgumentWarnings(plan)], environment };
}

/** Flags that name the platforms mean no other. */
function optionalOf(build: ProjectBuild, flags: PlanFlags, platforms: readonly string[]): string[] {
  const optional = unique(build.optional);
  return flags.platforms.length === 0
    ? optional
    : optional.filter((platform) => platforms.includes(platform));
}

/** What the file has for the platforms that are built, less what flags say for all of them. */
function overridesUnder(
  flags: PlanFlags,
  { perPlatform }: ProjectBuild,
  platforms: readonly string[],
): PlatformOverrides<DockerfileSource> {
  const overrides = Object.entries(perPlatform).filter(
    ([platform]) => platforms.length === 0 || platforms.includes(platform),
  );
  return Object.fromEntries(
    overrides.map(([platform, { args, labels, target, dockerfile }]) => [
      platform,
      {
        args: without(args, flags.args),
        labels: without(labels, flags.labels),
        target: flags.target === undefined ? target : undefined,
        dockerfile: flags.dockerfile === undefined ? dockerfile : undefined,
      },
    ]),
  );
}

type Texts = Readonly<Record<string, string>>;

function without(texts: Texts = {}, others: Texts): Texts {
  return Object.fromEntries(Object.entries(texts).filter(([name]) => !Object.hasOwn(others, name)));
}

/** Looks whether a path is a directory or an archive, which decides where Dockerfiles are looked for. */
async function settleContext(
  { context, dockerfile, perPlatform }: Pick<ProjectBuild, 'context' | 'dockerfile' | 'perPlatform'>,
  given: string | undefined,
  cwd: string,
): Promise<Pick<BuildPlan, 'context' | 'dockerfile' | 'perPlatform'>> {
  if (given === '-') {
    if (context.type === 'tar') {
      throw new ArchfarmError('usage', 'the standard input cannot be context and Dockerfile at once', {
        hint: 'without -f - it may be a Dockerfile that needs no context, or an archive with one in it',
      });
    }
    const settled = await settleContext({ context, dockerfile, perPlatform }, undefined, cwd);
    return { ...settled, dockerfile: { type: 'stdin' } };
  }
  if (context.type !== 'directory') {
    return {
      context,
      dockerfile: given === undefined ? dockerfile : { type: 'context', path: given },
      perPlatform,
    };
  }
  if (await isDirectory(context.path)) {
    const own: DockerfileSource = { type: 'file', path: path.resolve(cwd, given ?? '') };
    return { context, dockerfile: given === undefined ? dockerfile : own, perPlatform };
  }
  if (!(await isFile(context.path))) {
    throw new ArchfarmError('context-invalid', `the context ${context.path} is not a directory`);
  }
  const inside = (source: DockerfileSource): DockerfileSource =>
    source.type === 'file' ? { type: 'context', path: path.relative(context.path, source.path) } : source;
  return {
    context: { type: 'tar', path: context.path },
    dockerfile: given === undefined ? inside(dockerfile) : { type: 'context', path: given },
    perPlatform: Object.fromEntries(
      Object.entries(perPlatform).map(([platform, override]) => [
        platform,
        { ...override, dockerfile: override.dockerfile && inside(override.dockerfile) },
      ]),
    ),
  };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function mergeById<T extends { readonly id: string }>(
  base: readonly T[],
  added: readonly T[],
  weak: readonly string[] = [],
): T[] {
  const isWeak = ({ id }: T): boolean => weak.includes(id);
  const all = [...added.filter(isWeak), ...base, ...added.filter((item) => !isWeak(item))];
  const byId = new Map(all.map((item) => [item.id, item]));
  return [...new Set([...base, ...added].map(({ id }) => id))].flatMap((id) => byId.get(id) ?? []);
}

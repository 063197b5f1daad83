/** What `archfarm build NAME --flags` means here: a service of the project file or a directory, as a BuildPlan. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';
import type { ComposeFile } from './compose-file.ts';
import { contextName, parseGitSource, type ContextSource } from './context-source.ts';
import { findComposeFile } from './find-project.ts';
import type { Environment } from './interpolate.ts';
import type { ServiceBuild } from './service-build.ts';
import type { BuildPlan, DockerfileSource } from './spec.ts';

/** What flags say about a build. They replace tags and platforms of the project file, and add to the rest. */
export interface PlanFlags extends Omit<BuildPlan, 'name' | 'context' | 'dockerfile' | 'extraHosts'> {
  /** Relative to the current directory, or to the root of a context that is no directory. */
  readonly dockerfile?: string | undefined;
  /** A project file instead of the one that is looked for. */
  readonly project?: string | undefined;
}

export interface Surroundings {
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
}

export interface ResolvedPlan {
  readonly plan: BuildPlan;
  readonly warnings: readonly string[];
}

interface Subject {
  readonly name: string;
  readonly build: ServiceBuild;
  readonly warnings: readonly string[];
}

/** `target` is a service, a path, a git URL or `-`. Throws `unknown-name`, `config` or `usage`. */
export async function resolvePlan(
  target: string | undefined,
  flags: PlanFlags,
  surroundings: Surroundings,
): Promise<ResolvedPlan> {
  const { name, build, warnings } = await findSubject(target, flags.project, surroundings);
  const tags = (flags.tags.length > 0 ? flags.tags : build.tags).map(finalTag);
  const platforms = flags.platforms.length > 0 ? flags.platforms : build.platforms;
  if (tags.length === 0) {
    throw new ArchfarmError('usage', `no name for the image of ${name}`, {
      hint: 'give one with -t HOST/NAME:TAG, or with image: in the project file',
    });
  }
  const plan: BuildPlan = {
    name,
    tags: unique(tags),
    platforms: unique(platforms.map((text) => formatPlatform(parsePlatform(text)))),
    args: { ...build.args, ...flags.args },
    labels: { ...build.labels, ...flags.labels },
    target: flags.target ?? build.target,
    noCache: flags.noCache || build.noCache,
    pull: flags.pull || build.pull,
    network: flags.network ?? build.network,
    extraHosts: build.extraHosts,
    secrets: mergeById(build.secrets, flags.secrets),
    ssh: mergeById(build.ssh, flags.ssh),
    contexts: [
      ...new Map([...build.contexts, ...flags.contexts].map((context) => [context.name, context])).values(),
    ],
    cacheFrom: flags.cacheFrom,
    suffix: flags.suffix,
    type: flags.type,
    annotations: flags.annotations,
    attestations: flags.attestations,
    childTags: flags.childTags,
    force: flags.force,
    inlineCache: flags.inlineCache,
    allowEmulation: flags.allowEmulation,
    waitAgent: flags.waitAgent,
    timeout: flags.timeout,
    ...(await settleContext(build, flags.dockerfile, surroundings.cwd)),
  };
  return { plan, warnings };
}

/** Looks whether a path is a directory or an archive, which decides where the Dockerfile is looked for. */
async function settleContext(
  { context, dockerfile }: ServiceBuild,
  given: string | undefined,
  cwd: string,
): Promise<Pick<BuildPlan, 'context' | 'dockerfile'>> {
  if (context.type === 'directory') {
    if (await isDirectory(context.path)) {
      const own: DockerfileSource = { type: 'file', path: path.resolve(cwd, given ?? '') };
      return { context, dockerfile: given === undefined ? dockerfile : own };
    }
    if (!(await isFile(context.path))) {
      throw new ArchfarmError('context-invalid', `the context ${context.path} is not a directory`);
    }
    const inside = dockerfile.type === 'file' ? path.relative(context.path, dockerfile.path) : undefined;
    const named = given ?? inside;
    return {
      context: { type: 'tar', path: context.path },
      dockerfile: named === undefined ? dockerfile : { type: 'context', path: named },
    };
  }
  return { context, dockerfile: given === undefined ? dockerfile : { type: 'context', path: given } };
}

async function findSubject(
  target: string | undefined,
  project: string | undefined,
  { cwd, environment }: Surroundings,
): Promise<Subject> {
  const other = target === undefined ? undefined : otherContext(target);
  if (other !== undefined) return { name: contextName(other), build: contextBuild(other), warnings: [] };
  // A path cannot be a service, so that a broken project file above does not matter to it.
  const isPath = target !== undefined && (target.includes('/') || /^\.{1,2}$/.test(target));
  const file = isPath ? undefined : await openProject(project, { cwd, environment });
  const service = target ?? onlyService(file);
  if (service !== undefined && file?.has(service) === true) {
    const build = file.build(service);
    return { name: service, build, warnings: file.warnings };
  }
  const found = path.resolve(cwd, target ?? '.');
  if (target !== undefined && !(await isDirectory(found)) && !(await isFile(found))) {
    throw unknownName(target, isPath, file);
  }
  const context: ContextSource = { type: 'directory', path: found };
  return { name: contextName(context), build: contextBuild(context), warnings: [] };
}

async function openProject(
  project: string | undefined,
  { cwd, environment }: Surroundings,
): Promise<ComposeFile | undefined> {
  const file = project === undefined ? await findComposeFile(cwd) : path.resolve(cwd, project);
  if (file === undefined) return undefined;
  // The YAML parser is half of what this command would load.
  const { readComposeFile } = await import('./compose-file.ts');
  return readComposeFile(file, environment);
}

function onlyService(file: ComposeFile | undefined): string | undefined {
  if (file === undefined) return undefined;
  const [first, ...others] = file.buildable;
  if (others.length === 0) return first;
  throw new ArchfarmError('usage', `${file.path} has several services to build`, {
    hint: `name one: ${file.buildable.join(', ')}`,
  });
}

function unknownName(target: string, isPath: boolean, file: ComposeFile | undefined): ArchfarmError {
  if (isPath) return new ArchfarmError('unknown-name', `no directory ${target}`);
  if (file === undefined) {
    return new ArchfarmError('unknown-name', `nothing to build is called ${target}`, {
      hint: 'there is no compose.yaml here or above, and no directory of that name',
    });
  }
  const known = file.buildable;
  const nearest = closestMatch(target, known, { maxDistance: Math.max(3, Math.ceil(target.length / 2)) });
  const offer = nearest === undefined ? '' : `did you mean ${nearest}? `;
  return new ArchfarmError('unknown-name', `nothing to build is called ${target} in ${file.path}`, {
    hint: `${offer}known: ${known.join(', ') || 'none'}`,
  });
}

/** A context that is no path. */
function otherContext(target: string): ContextSource | undefined {
  return target === '-' ? { type: 'tar' } : parseGitSource(target);
}

function contextBuild(context: ContextSource): ServiceBuild {
  return {
    tags: [],
    platforms: [],
    context,
    dockerfile:
      context.type === 'directory'
        ? { type: 'file', path: path.join(context.path, 'Dockerfile') }
        : { type: 'context', path: 'Dockerfile' },
    contexts: [],
    args: {},
    labels: {},
    target: undefined,
    network: undefined,
    pull: false,
    noCache: false,
    extraHosts: [],
    secrets: [],
    ssh: [],
  };
}

function finalTag(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest !== undefined) {
    throw new ArchfarmError('usage', `the image to build cannot be named by digest: ${text}`, {
      hint: 'leave @sha256:… out',
    });
  }
  return formatReference(reference);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function mergeById<T extends { readonly id: string }>(base: readonly T[], added: readonly T[]): T[] {
  return [...new Map([...base, ...added].map((item) => [item.id, item])).values()];
}

async function isDirectory(candidate: string): Promise<boolean> {
  try {
    return (await stat(candidate)).isDirectory();
  } catch {
    return false;
  }
}

async function isFile(candidate: string): Promise<boolean> {
  try {
    return (await stat(candidate)).isFile();
  } catch {
    return false;
  }
}

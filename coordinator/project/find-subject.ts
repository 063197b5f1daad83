/** What a build is of: something in a project file, a directory, an archive or a git repository. */
import path from 'node:path';
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import { contextName, parseGitSource, type ContextSource } from './context-source.ts';
import type { Environment } from './interpolate.ts';
import { openProjects } from './open-projects.ts';
import { isDirectory, isFile } from './path-kind.ts';
import { plainBuild, type ProjectBuild } from './project-build.ts';
import type { Project } from './project.ts';

export interface Surroundings {
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
  /** What a project file calls the image is of no account then. */
  readonly tagsGiven?: boolean;
  /** Hears what there is to warn of where there is no subject to have it, because something is wrong. */
  readonly warn?: (warning: string) => void;
}

export interface Subject {
  readonly name: string;
  readonly build: ProjectBuild;
  readonly warnings: readonly string[];
  /** With what the project's `.env` adds, of something in a Compose file. */
  readonly environment: Environment;
}

/** `target` is a service, a bake target, a path, a git URL or `-`. Throws `unknown-name`, `config` or `usage`. */
export async function findSubject(
  target: string | undefined,
  project: string | undefined,
  { cwd, environment, tagsGiven, warn }: Surroundings,
): Promise<Subject> {
  const other = target === undefined ? undefined : otherContext(target);
  if (other !== undefined)
    return { name: contextName(other), build: plainBuild(other), warnings: [], environment };
  // A path cannot be a service, so that a broken project file above does not matter to it.
  const isPath = target !== undefined && (target.includes('/') || /^\.{1,2}$/.test(target));
  const projects = isPath ? [] : await openProjects(project, { cwd, environment });
  const named = target ?? (await onlyName(projects));
  const file = named === undefined ? undefined : ownerOf(named, projects);
  if (named !== undefined && file !== undefined) {
    const build = await file.build(named, tagsGiven).catch((error: unknown) => {
      // A variable that is not set may be why.
      for (const warning of file.warnings) warn?.(warning);
      throw error;
    });
    return { name: named, build, warnings: file.warnings, environment: file.environment };
  }
  const found = path.resolve(cwd, target ?? '.');
  if (target !== undefined && !(await isDirectory(found)) && !(await isFile(found))) {
    throw await unknownName(target, isPath, projects);
  }
  const context: ContextSource = { type: 'directory', path: found };
  return { name: contextName(context), build: plainBuild(context), warnings: [], environment };
}

async function onlyName(projects: readonly Project[]): Promise<string | undefined> {
  const [first, ...others] = (await Promise.all(projects.map((project) => project.implied()))).flat();
  if (first === undefined || others.length === 0) return first;
  throw new ArchfarmError('usage', `${pathsOf(projects)} has several things to build`, {
    hint: `name one: ${[first, ...others].join(', ')}`,
  });
}

function ownerOf(name: string, projects: readonly Project[]): Project | undefined {
  const [owner, ...others] = projects.filter((project) => project.has(name));
  if (owner === undefined || others.length === 0) return owner;
  throw new ArchfarmError('usage', `both ${pathsOf(projects)} have something called ${name}`, {
    hint: 'say which with --project FILE',
  });
}

async function unknownName(
  target: string,
  isPath: boolean,
  projects: readonly Project[],
): Promise<ArchfarmError> {
  if (isPath) return new ArchfarmError('unknown-name', `no directory ${target}`);
  if (projects.length === 0) {
    return new ArchfarmError('unknown-name', `nothing to build is called ${target}`, {
      hint: 'there is no compose.yaml or docker-bake.json here or above, and no directory of that name',
    });
  }
  const known = (await Promise.all(projects.map((project) => project.buildable()))).flat();
  const nearest = closestMatch(target, known, { maxDistance: Math.max(3, Math.ceil(target.length / 2)) });
  const offer = nearest === undefined ? '' : `did you mean ${nearest}? `;
  return new ArchfarmError('unknown-name', `nothing to build is called ${target} in ${pathsOf(projects)}`, {
    hint: `${offer}known: ${known.join(', ') || 'none'}`,
  });
}

function pathsOf(projects: readonly Project[]): string {
  return projects.map((project) => project.path).join(' and ');
}

/** A context that is no path. */
function otherContext(target: string): ContextSource | undefined {
  return target === '-' ? { type: 'tar' } : parseGitSource(target);
}

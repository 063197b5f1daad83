/** Opens the project that a directory belongs to: one or two files. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import { findProjectFiles } from './find-project.ts';
import type { Environment } from './interpolate.ts';
import { namedFiles } from './named-files.ts';
import type { Project } from './project.ts';

interface Surroundings {
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
}

/** Those of `file`, or that `COMPOSE_FILE` names, or of the nearest directory upwards that has any. */
export async function openProjects(
  file: string | undefined,
  { cwd, environment }: Surroundings,
): Promise<Project[]> {
  if (file !== undefined) return [await openProject(path.resolve(cwd, file), environment)];
  const named = await namedFiles({ cwd, environment });
  const { compose, bake } = await findProjectFiles(cwd);
  return [
    ...(named.length > 0
      ? [await openCompose(named, environment, cwd)]
      : compose.length > 0
        ? [await openCompose(compose, environment)]
        : []),
    ...(bake.length > 0 ? [await openBake(bake, environment)] : []),
  ];
}

async function openProject(file: string, environment: Environment): Promise<Project> {
  if (file.endsWith('.hcl')) {
    throw new ArchfarmError('config', `${file}: bake files are read as JSON only`, {
      hint: `docker buildx bake -f ${path.basename(file)} --print >docker-bake.json writes one`,
    });
  }
  return file.endsWith('.json') ? openBake([file], environment) : openCompose([file], environment);
}

// The YAML parser is half of what a build command would load.
async function openCompose(
  files: readonly string[],
  environment: Environment,
  cwd?: string,
): Promise<Project> {
  const { readComposeFile } = await import('./compose-file.ts');
  return readComposeFile(files, environment, cwd);
}

async function openBake(files: readonly string[], environment: Environment): Promise<Project> {
  const { readBakeFile } = await import('./bake-file.ts');
  return readBakeFile(files, environment);
}

/** Looks for the project files that a directory belongs to. */
import path from 'node:path';
import { isFile } from './path-kind.ts';

/** In the order in which Compose prefers them. */
const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const composeOverrideNames = [
  'compose.override.yml', 'compose.override.yaml', 'docker-compose.override.yml', 'docker-compose.override.yaml',
]; // prettier-ignore
const bakeNames = ['docker-bake.json'];
const bakeOverrideNames = ['docker-bake.override.json'];

/** Each a file and what overrides it; none when there is no such file. */
export interface ProjectFiles {
  readonly compose: readonly string[];
  readonly bake: readonly string[];
}

/** The project files in `directory` or the nearest one above it that has any. */
export async function findProjectFiles(directory: string): Promise<ProjectFiles> {
  const compose = await firstFile(directory, composeNames);
  const bake = await firstFile(directory, bakeNames);
  const parent = path.dirname(directory);
  if (compose === undefined && bake === undefined) {
    return parent === directory ? { compose: [], bake: [] } : findProjectFiles(parent);
  }
  return {
    compose: await withOverride(compose, composeOverrideNames),
    bake: await withOverride(bake, bakeOverrideNames),
  };
}

async function withOverride(file: string | undefined, names: readonly string[]): Promise<string[]> {
  if (file === undefined) return [];
  const override = await firstFile(path.dirname(file), names);
  return override === undefined ? [file] : [file, override];
}

async function firstFile(directory: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const candidate = path.join(directory, name);
    if (await isFile(candidate)) return candidate;
  }
  return undefined;
}

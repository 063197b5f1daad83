/** `COMPOSE_FILE`, with which Compose is told what files to read instead of those that it would look for. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import { envFileText, readEnvFile } from './env-file.ts';
import type { Environment } from './interpolate.ts';
import { isFile } from './path-kind.ts';

interface Surroundings {
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
}

/** Absolute; none where it is not set, in the environment or in the `.env` of the current directory. */
export async function namedFiles({ cwd, environment }: Surroundings): Promise<string[]> {
  const variables =
    environment['COMPOSE_FILE'] === undefined ? await ofEnvFile(cwd, environment) : environment;
  const separator = variables['COMPOSE_PATH_SEPARATOR'] || path.delimiter;
  const names = (variables['COMPOSE_FILE'] ?? '').split(separator).filter((name) => name !== '');
  const files = names.map((name) => path.resolve(cwd, name));
  for (const file of files) {
    if (await isFile(file)) continue;
    throw new ArchfarmError('config', `COMPOSE_FILE names ${file}, and there is no such file`, {
      hint: `it is a list of files, with ${JSON.stringify(separator)} between them; --project FILE goes before it`,
    });
  }
  return files;
}

/** Looked into only where it says something of this: it may be the `.env` of something else, and in another syntax. */
async function ofEnvFile(cwd: string, environment: Environment): Promise<Environment> {
  const file = path.join(cwd, '.env');
  const text = await envFileText(file);
  if (!text.includes('COMPOSE_FILE')) return environment;
  return { ...readEnvFile(text, { path: file, environment }).variables, ...environment };
}

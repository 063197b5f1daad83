/** A Compose file as archfarm sees it: the services that can be built. Everything else in it is Compose's own. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { readServiceBuild, type ServiceBuild } from './service-build.ts';
import type { Environment } from './interpolate.ts';
import { parseYaml, type YamlSource, type YamlValue } from './yaml-value.ts';

/** Bytes; far above any file written by hand. */
const maxFileSize = 1024 * 1024;

/** Reads a project file and the `.env` beside it; `environment` wins over `.env`. */
export async function readComposeFile(file: string, environment: Environment): Promise<ComposeFile> {
  if (/\.(json|hcl)$/.test(file)) {
    throw new ArchfarmError('config', `${file}: bake files are not supported yet`, {
      hint: 'describe the build in a compose.yaml',
    });
  }
  const directory = path.dirname(file);
  const text = await readText(file);
  const dotenv = await readDotenv(path.join(directory, '.env'));
  return new ComposeFile({ path: file, text, environment: { ...dotenv, ...environment } });
}

async function readText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > maxFileSize) {
      throw new ArchfarmError('config', `${file} is larger than ${maxFileSize} bytes`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof ArchfarmError) throw error;
    throw new ArchfarmError('config', `cannot read the project file ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function readDotenv(file: string): Promise<Record<string, string>> {
  try {
    return parseDotenv(await readFile(file));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return {};
    throw new ArchfarmError('config', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

export class ComposeFile {
  readonly path: string;
  readonly #environment: Environment;
  readonly #root: YamlValue;
  readonly #services: ReadonlyMap<string, YamlValue>;

  constructor(source: YamlSource) {
    this.path = source.path;
    this.#environment = source.environment;
    this.#root = parseYaml(source);
    this.#services = new Map(this.#root.get('services').entries());
  }

  /** Names of the services with a `build` section, in the order of the file. */
  get buildable(): readonly string[] {
    return [...this.#services].filter(([, service]) => isBuildable(service)).map(([name]) => name);
  }

  has(service: string): boolean {
    return this.#services.has(service);
  }

  /** Throws `config` when the service has no `build`, or a wrong one. */
  build(name: string): ServiceBuild {
    const service = this.#services.get(name);
    if (service === undefined || !isBuildable(service)) {
      throw new ArchfarmError('config', `service ${name} in ${this.path} has no build section`, {
        hint: `services that can be built: ${this.buildable.join(', ') || 'none'}`,
      });
    }
    return readServiceBuild(service, {
      directory: path.dirname(this.path),
      secrets: this.#root.get('secrets'),
      environment: this.#environment,
    });
  }

  /** Says which variables the sections read so far lacked. */
  get warnings(): readonly string[] {
    return this.#root.unsetVariables.map(
      (name) => `${this.path}: variable ${name} is not set, so it is empty`,
    );
  }
}

function isBuildable(service: YamlValue): boolean {
  return !service.isEmpty && !service.get('build').isEmpty;
}

/** Compose files as archfarm sees them: the services that can be built. Everything else in them is Compose's own. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { readEnvFile, type EnvFile } from './env-file.ts';
import type { Environment } from './interpolate.ts';
import { layersAt, type Layer } from './layers.ts';
import type { ProjectBuild } from './project-build.ts';
import { readProjectText } from './project-text.ts';
import type { Project } from './project.ts';
import { readServiceBuild } from './service-build.ts';
import { parseYaml, type YamlValue } from './yaml-value.ts';

/** Reads a Compose file, what overrides it, and the `.env` beside it; `environment` wins over `.env`. */
export async function readComposeFile(
  files: readonly string[],
  environment: Environment,
): Promise<ComposeFile> {
  const envFile = path.join(path.dirname(files[0] ?? ''), '.env');
  const { variables, unset } = await readEnvironment(envFile, environment);
  const project = new ComposeFile(files[0] ?? '', {
    environment: { ...variables, ...environment },
    warnings: unset.map((name) => notSet(envFile, name)),
  });
  for (const file of files) project.add(await project.open(file));
  return project;
}

async function readEnvironment(file: string, environment: Environment): Promise<EnvFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { variables: {}, unset: [] };
    throw new ArchfarmError('config', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  return readEnvFile(text, { path: file, environment });
}

function notSet(file: string, variable: string): string {
  return `${file}: variable ${variable} is not set, so it is empty`;
}

interface Surroundings {
  /** With what `.env` adds. */
  readonly environment: Environment;
  /** What there is to say of `.env`. */
  readonly warnings: readonly string[];
}

interface OpenFile {
  readonly path: string;
  readonly root: YamlValue;
}

export class ComposeFile implements Project {
  readonly path: string;
  readonly environment: Environment;
  readonly #warnings: readonly string[];
  /** The file, then what overrides it. */
  readonly #files: OpenFile[] = [];
  /** Those and the files that services extend those of. */
  readonly #opened = new Map<string, OpenFile>();

  constructor(file: string, { environment, warnings }: Surroundings) {
    this.path = file;
    this.environment = environment;
    this.#warnings = warnings;
  }

  add(file: OpenFile): void {
    const extension = file.root.get('x-archfarm');
    if (!extension.isEmpty) throw extension.error('belongs to a service', 'put it beside build');
    file.root.get('services').entries();
    this.#files.push(file);
  }

  async open(file: string): Promise<OpenFile> {
    const opened = this.#opened.get(file);
    if (opened !== undefined) return opened;
    const text = await readProjectText(file);
    const read = { path: file, root: parseYaml({ path: file, text, environment: this.environment }) };
    this.#opened.set(file, read);
    return read;
  }

  async buildable(): Promise<readonly string[]> {
    const names = new Set(
      this.#files.flatMap(({ root }) =>
        root
          .get('services')
          .entries()
          .map(([name]) => name),
      ),
    );
    const found: string[] = [];
    for (const name of names) if (isBuildable(await this.#layers(name))) found.push(name);
    return found;
  }

  implied(): Promise<readonly string[]> {
    return this.buildable();
  }

  has(service: string): boolean {
    return this.#files.some(({ root }) => !root.get('services').get(service).isEmpty);
  }

  async build(name: string): Promise<ProjectBuild> {
    const layers = await this.#layers(name);
    if (!isBuildable(layers)) {
      throw new ArchfarmError('config', `service ${name} in ${this.path} has no build section`, {
        hint: `services that can be built: ${(await this.buildable()).join(', ') || 'none'}`,
      });
    }
    return readServiceBuild(layers, {
      directory: path.dirname(this.path),
      secrets: this.#files.map(({ root, path: file }) => ({
        value: root.get('secrets'),
        directory: path.dirname(file),
      })),
      environment: this.environment,
    });
  }

  get warnings(): readonly string[] {
    const unset = [...this.#opened.values()].flatMap(({ path: file, root }) =>
      root.unsetVariables.map((name) => notSet(file, name)),
    );
    const warnings = [...this.#warnings, ...unset];
    const included = this.#files.find(({ root }) => !root.get('include').isEmpty);
    if (included === undefined) return warnings;
    return [...warnings, `${included.path}: include is not read; --project FILE names another file`];
  }

  async #layers(service: string): Promise<Layer[]> {
    const layers: Layer[] = [];
    for (const file of this.#files) layers.push(...(await this.#extended(file, service, [])));
    return layers;
  }

  /** A service of one file, above those that it extends. */
  async #extended(file: OpenFile, service: string, above: readonly string[]): Promise<Layer[]> {
    const value = file.root.get('services').get(service);
    const { path: name } = file;
    if (value.isEmpty) return [];
    const own: Layer = { value, directory: path.dirname(name) };
    const extended = value.get('extends');
    if (extended.isEmpty) return [own];
    const key = `${service} of ${name}`;
    if (above.includes(key)) throw extended.error(`${key} extends itself`);
    const base = extended.isText ? extended.text() : extended.get('service').text();
    const other = extended.isText ? undefined : extended.get('file').optionalText();
    const from = other === undefined ? file : await this.open(path.resolve(own.directory, other));
    const below = await this.#extended(from, base, [...above, key]);
    if (below.length === 0) throw extended.error(`there is no service ${base} in ${from.path}`);
    return [...below, own];
  }
}

function isBuildable(layers: readonly Layer[]): boolean {
  return layersAt(layers, 'build').length > 0;
}

/** Compose files as archfarm sees them: the services that can be built. Everything else in them is Compose's own. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import { envFileText, readEnvFile } from './env-file.ts';
import type { Environment } from './interpolate.ts';
import { layersAt, type Layer } from './layers.ts';
import type { ProjectBuild } from './project-build.ts';
import { readProjectText } from './project-text.ts';
import type { Project } from './project.ts';
import { readServiceBuild } from './service-build.ts';
import { parseYaml, type YamlValue } from './yaml-value.ts';

/**
 * Reads a Compose file, what overrides it, and the `.env` beside it, before that the one of the directory `named`
 * where files were named there; `environment` wins over both.
 */
export async function readComposeFile(
  files: readonly string[],
  environment: Environment,
  named?: string,
): Promise<ComposeFile> {
  const directory = path.dirname(files[0] ?? '');
  const variables: Record<string, string | undefined> = { ...environment };
  const warnings: string[] = [];
  for (const place of new Set([named ?? directory, directory])) {
    const file = path.join(place, '.env');
    const read = readEnvFile(await envFileText(file), { path: file, environment: variables });
    for (const [name, value] of Object.entries(read.variables)) variables[name] ??= value;
    warnings.push(...read.unset.map((name) => notSet(file, name)));
  }
  const project = new ComposeFile(files[0] ?? '', { environment: variables, warnings });
  for (const file of files) project.add(await project.open(file));
  // Compose lets every file use it; what `name` says may be made of the other variables.
  variables['COMPOSE_PROJECT_NAME'] ??= project.name;
  return project;
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

  /** What Compose calls the project where nothing in the environment does. */
  get name(): string {
    const given = this.#files.map(({ root }) => root.get('name').optionalText());
    return (
      given.findLast((each) => each !== undefined) ?? normalName(path.basename(path.resolve(this.#directory)))
    );
  }

  get #directory(): string {
    return path.dirname(this.path);
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

  async build(name: string, tagsGiven = false): Promise<ProjectBuild> {
    const layers = await this.#layers(name);
    if (!isBuildable(layers)) {
      throw new ArchfarmError('config', `service ${name} in ${this.path} has no build section`, {
        hint: `services that can be built: ${(await this.buildable()).join(', ') || 'none'}`,
      });
    }
    return readServiceBuild(layers, {
      directory: this.#directory,
      secrets: this.#files.map(({ root }) => ({ value: root.get('secrets'), directory: this.#directory })),
      environment: this.environment,
      tagsGiven,
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
    // As Compose has it, also where the files are in several directories.
    const directory = this.#directory;
    for (const file of this.#files) layers.push(...(await this.#extended({ file, directory }, service, [])));
    return layers;
  }

  /** A service of one file, above those that it extends. */
  async #extended(
    { file, directory }: { readonly file: OpenFile; readonly directory: string },
    service: string,
    above: readonly string[],
  ): Promise<Layer[]> {
    const value = file.root.get('services').get(service);
    const { path: name } = file;
    if (value.isEmpty) return [];
    const own: Layer = { value, directory };
    const extended = value.get('extends');
    if (extended.isEmpty) return [own];
    const key = `${service} of ${name}`;
    if (above.includes(key)) throw extended.error(`${key} extends itself`);
    const base = extended.isText ? extended.text() : extended.get('service').text();
    const other = extended.isText ? undefined : extended.get('file').optionalText();
    const from = other === undefined ? file : await this.open(path.resolve(directory, other));
    const place = other === undefined ? directory : path.dirname(from.path);
    const below = await this.#extended({ file: from, directory: place }, base, [...above, key]);
    if (below.length === 0) throw extended.error(`there is no service ${base} in ${from.path}`);
    return [...below, own];
  }
}

/** After compose-go's NormalizeProjectName. */
function normalName(directory: string): string {
  return directory
    .toLowerCase()
    .replace(/[^-_a-z0-9]+/g, '')
    .replace(/^[_-]+/, '');
}

function isBuildable(layers: readonly Layer[]): boolean {
  return layersAt(layers, 'build').length > 0;
}

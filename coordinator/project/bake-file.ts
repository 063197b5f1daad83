/** `docker-bake.json`: targets that inherit from each other, groups of them, and variables. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import { readBakeTarget } from './bake-target.ts';
import { BakeVariables } from './bake-variables.ts';
import { expandTemplate, isNullTemplate } from './hcl-template.ts';
import type { Environment } from './interpolate.ts';
import type { Layer } from './layers.ts';
import type { ProjectBuild } from './project-build.ts';
import { readProjectText } from './project-text.ts';
import type { Project } from './project.ts';
import { parseJson, type YamlValue } from './yaml-value.ts';

/** What is built when nothing is named: a group or a target. */
const impliedName = 'default';

/** Reads a bake file and what overrides it; `.env` is Compose's and does not count here. */
export async function readBakeFile(files: readonly string[], environment: Environment): Promise<BakeFile> {
  const variables = new BakeVariables(environment);
  const templates = {
    expand: (text: string) => expandTemplate(text, variables),
    isNull: (text: string) => isNullTemplate(text, variables),
  };
  const roots: YamlValue[] = [];
  for (const file of files) {
    const root = parseJson({ path: file, text: await readProjectText(file), templates });
    const { function: functions } = Object.fromEntries(root.entries());
    if (functions?.isEmpty === false) throw functions.error('functions are not supported');
    variables.add(root);
    roots.push(root);
  }
  return new BakeFile(files[0] ?? '', roots, environment);
}

export class BakeFile implements Project {
  readonly path: string;
  readonly environment: Environment;
  readonly warnings: readonly string[] = [];
  readonly #directory: string;
  /** Those of the file before those of what overrides it. */
  readonly #targets = new Map<string, YamlValue[]>();
  readonly #groups = new Map<string, YamlValue>();

  constructor(file: string, roots: readonly YamlValue[], environment: Environment) {
    this.path = file;
    this.#directory = path.dirname(file);
    this.environment = environment;
    for (const root of roots) {
      for (const [name, target] of root.get('target').entries()) {
        if (name !== '//') this.#targets.set(name, [...(this.#targets.get(name) ?? []), target]);
      }
      for (const [name, group] of root.get('group').entries())
        if (name !== '//') this.#groups.set(name, group);
    }
  }

  async buildable(): Promise<readonly string[]> {
    return [...this.#targets.keys()];
  }

  async implied(): Promise<readonly string[]> {
    return this.has(impliedName) ? [impliedName] : this.buildable();
  }

  has(name: string): boolean {
    return this.#targets.has(name) || this.#groups.has(name);
  }

  async build(name: string, tagsGiven = false): Promise<ProjectBuild> {
    const layers = this.#layers(this.#only(name), []);
    return readBakeTarget(layers, {
      directory: this.#directory,
      environment: this.environment,
      tagsGiven,
    });
  }

  /** The one target of a group; a group goes before a target of its name, as with docker buildx. */
  #only(name: string): string {
    const group = this.#groups.get(name);
    if (group === undefined) return name;
    const targets = this.#targetsOf(name, new Set());
    const [target] = targets;
    if (target !== undefined && targets.length === 1) return target;
    throw group.error(
      targets.length === 0 ? 'a group without targets' : 'a build has one target, and this group has several',
      targets.length === 0 ? undefined : `name one: ${targets.join(', ')}`,
    );
  }

  #targetsOf(name: string, seen: Set<string>): string[] {
    const group = this.#groups.get(name);
    if (group === undefined || seen.has(name)) return [name];
    seen.add(name);
    const named = group
      .get('targets')
      .items()
      .flatMap((member) => {
        const other = member.text();
        if (!this.has(other)) throw member.error(`there is no target ${other}`);
        return other === name ? [other] : this.#targetsOf(other, seen);
      });
    return [...new Set(named)].filter((other) => this.#targets.has(other));
  }

  /** What it inherits, the last named over those before it, and its own on top. */
  #layers(name: string, above: readonly string[]): Layer[] {
    const own = this.#targets.get(name);
    if (own === undefined) {
      throw new ArchfarmError('config', `no target ${name} in ${this.path}`);
    }
    const inherited = own
      .flatMap((target) => target.get('inherits').items())
      .flatMap((item) => {
        const parent = item.text();
        if (!this.#targets.has(parent)) throw item.error(`there is no target ${parent}`);
        if (parent === name || above.includes(parent)) throw item.error(`${parent} inherits itself`);
        return this.#layers(parent, [...above, name]);
      });
    return [...inherited, ...own.map((value) => ({ value, directory: this.#directory }))];
  }
}

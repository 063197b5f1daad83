/** The variables of a bake file: those it declares, which the environment may set, and its plain attributes. */
import type { Environment } from './interpolate.ts';
import type { TemplateVariables } from './hcl-template.ts';
import type { YamlValue } from './yaml-value.ts';

/** What else stands at the top of a bake file. `//` is how JSON for HCL spells a comment. */
const blocks = ['group', 'target', 'variable', 'function', '//'];

export class BakeVariables implements TemplateVariables {
  readonly #environment: Environment;
  /** Later files replace the values of earlier ones. */
  readonly #declared = new Map<string, YamlValue>();
  readonly #attributes = new Map<string, YamlValue>();
  readonly #open = new Set<string>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  add(file: YamlValue): void {
    for (const [name, variable] of file.get('variable').entries()) {
      const value = variable.get('default');
      if (!this.#declared.has(name) || !value.isEmpty) this.#declared.set(name, value);
    }
    for (const [name, value] of file.entries()) if (!blocks.includes(name)) this.#attributes.set(name, value);
  }

  value(name: string): string | undefined {
    const declared = this.#declared.get(name);
    const definition = this.#attributes.get(name) ?? declared;
    if (definition === undefined) throw new Error(`there is no variable ${name}`);
    const given = declared === undefined ? undefined : this.#environment[name];
    if (given !== undefined) return given;
    if (this.#open.has(name)) throw new Error(`variable ${name} is made of itself`);
    this.#open.add(name);
    try {
      if (!definition.isEmpty) return definition.text();
      return definition.isNull ? undefined : '';
    } finally {
      this.#open.delete(name);
    }
  }
}

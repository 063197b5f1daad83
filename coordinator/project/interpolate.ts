/** Variables in the values of a Compose file: `$VAR`, `${VAR}`, `${VAR:-default}` … and `$$` for one dollar sign. */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolation {
  readonly text: string;
  /** Variables that were used without a default and are not set: they became nothing. */
  readonly unset: readonly string[];
}

/** Nesting of `${A:-${B:-…}}` that anybody writes by hand stays far below. */
const maxDepth = 20;

/** Throws an Error that says what is wrong with the text, or what a `${VAR:?text}` asks for. */
export function interpolate(source: string, environment: Environment): Interpolation {
  const unset = new Set<string>();
  const lookup: Lookup = (name) => (Object.hasOwn(environment, name) ? environment[name] : undefined);
  const text = expand(source, lookup, unset, 0);
  return { text, unset: [...unset] };
}

type Lookup = (name: string) => string | undefined;

function expand(source: string, lookup: Lookup, unset: Set<string>, depth: number): string {
  if (depth > maxDepth) throw new Error('variables are nested too deeply');
  let text = '';
  let position = 0;
  while (position < source.length) {
    const dollar = source.indexOf('$', position);
    if (dollar === -1) return text + source.slice(position);
    text += source.slice(position, dollar);
    const next = source[dollar + 1];
    if (next === '$') {
      text += '$';
      position = dollar + 2;
    } else if (next === '{') {
      const end = closingBrace(source, dollar + 2);
      text += substitute(source.slice(dollar + 2, end), lookup, unset, depth);
      position = end + 1;
    } else {
      const name = /^[A-Za-z_]\w*/.exec(source.slice(dollar + 1))?.[0];
      if (name === undefined) {
        // The rest of the text may be a password.
        throw new Error('invalid variable after $: write $$ for a dollar sign');
      }
      text += valueOf(name, lookup, unset);
      position = dollar + 1 + name.length;
    }
  }
  return text;
}

function closingBrace(source: string, from: number): number {
  let open = 1;
  for (let index = from; index < source.length; index++) {
    if (source[index] === '{' && source[index - 1] === '$') open++;
    if (source[index] === '}' && --open === 0) return index;
  }
  throw new Error('${ without }');
}

function substitute(expression: string, lookup: Lookup, unset: Set<string>, depth: number): string {
  const match = /^([A-Za-z_]\w*)(?:(:?)([-?+])([\s\S]*))?$/.exec(expression);
  if (match === null) throw new Error(`invalid variable \${${expression}}`);
  const [, name = '', colon, operator, rest = ''] = match;
  if (operator === undefined) return valueOf(name, lookup, unset);
  const value = lookup(name);
  const present = value !== undefined && !(colon === ':' && value === '');
  const alternative = (): string => expand(rest, lookup, unset, depth + 1);
  switch (operator) {
    case '-':
      return present ? value : alternative();
    case '+':
      return present ? alternative() : '';
    default:
      if (present) return value;
      throw new Error(`variable ${name} must be set${rest === '' ? '' : `: ${alternative()}`}`);
  }
}

function valueOf(name: string, lookup: Lookup, unset: Set<string>): string {
  const value = lookup(name);
  if (value === undefined) unset.add(name);
  return value ?? '';
}

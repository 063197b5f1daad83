/** What a schema takes, in the words of the protocol's tables: bounds are read from the schema itself. */

/** A valibot schema or action, as far as its kind tells what else it has. */
export interface SchemaPart {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Names of whole types, by what they stand for. */
export type TypeNames = ReadonlyMap<string, string>;

/** Throws for a kind of schema that it has no words for, so that no bound is passed over. */
export function schemaText(schema: SchemaPart, names: TypeNames = new Map()): string {
  const text = plainText(schema, names);
  return names.get(text) ?? text;
}

/** What is described field by field, elsewhere. */
export function isComposed({ type }: SchemaPart): boolean {
  return type === 'strict_object' || type === 'object' || type === 'variant';
}

function plainText(schema: SchemaPart, names: TypeNames): string {
  if (isComposed(schema)) return 'object';
  const pipe = flat(schema);
  const [base = schema, ...actions] = pipe[0]?.type === 'unknown' ? recordFirst(pipe) : pipe;
  const bound = boundsOf(actions);
  switch (base.type) {
    case 'literal':
      return code(base['literal']);
    case 'picklist':
      return listOf(base['options']).map(code).join(', ');
    case 'boolean':
      return 'true or false';
    case 'string':
      return `text${bound(' of ', ' characters')}`;
    case 'number':
      return `${actions.some(({ type }) => type === 'safe_integer') ? 'integer' : 'number'}${bound(' ', '')}`;
    case 'array':
      return `list${bound(' of ', '')} of ${schemaText(partOf(base['item']), names)}`;
    case 'tuple':
      return `[${partsOf(base['items'])
        .map((item) => schemaText(item, names))
        .join(', ')}]`;
    case 'record':
      return `object of ${schemaText(partOf(base['value']), names)} by ${schemaText(partOf(base['key']), names)}${bound(', ', '')}`;
    default:
      throw new Error(`no words for a schema of the type ${base.type}`);
  }
}

/** A pipe may begin with a pipe. */
function flat(schema: SchemaPart): SchemaPart[] {
  const [first, ...more] = partsOf(schema['pipe']);
  return first === undefined || first === schema ? [schema, ...more] : [...flat(first), ...more];
}

/** One that is checked before it is read. */
function recordFirst(pipe: readonly SchemaPart[]): SchemaPart[] {
  return [...pipe.filter(({ type }) => type === 'record'), ...pipe.filter(({ type }) => type === 'check')];
}

/** The words for all bounds, with what comes before and after a range. */
function boundsOf(actions: readonly SchemaPart[]): (before: string, after: string) => string {
  let least: string | undefined;
  let most: string | undefined;
  const more: string[] = [];
  for (const { type, requirement, message } of actions) {
    if (type === 'min_length' || type === 'min_value') least = figure(requirement);
    else if (type === 'max_length' || type === 'max_value') most = figure(requirement);
    else if (type === 'regex' && requirement instanceof RegExp) more.push(`like \`${requirement.source}\``);
    else if (type === 'base64') more.push('in base64');
    else if (type === 'check') more.push(`no ${String(message)}`);
    else if (type !== 'safe_integer' && type !== 'finite') throw new Error(`no words for the action ${type}`);
  }
  const range =
    least === undefined
      ? most && `at most ${most}`
      : most === undefined
        ? `at least ${least}`
        : `${least} to ${most}`;
  return (before, after) =>
    [range && `${before}${range}${after}`, ...more.map((each) => `${before === ', ' ? ', ' : ' '}${each}`)]
      .filter((each) => each !== undefined)
      .join('');
}

function figure(value: unknown): string {
  return Number(value).toLocaleString('en-US');
}

function code(value: unknown): string {
  return `\`${JSON.stringify(value)}\``;
}

export function partOf(value: unknown): SchemaPart {
  if (isPart(value)) return value;
  throw new Error('not a schema');
}

export function partsOf(value: unknown): SchemaPart[] {
  return listOf(value).map(partOf);
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isPart(value: unknown): value is SchemaPart {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

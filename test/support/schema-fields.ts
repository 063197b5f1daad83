/** The fields of objects in a schema, and what of them an example shows. */
import { isComposed, partOf, partsOf, type SchemaPart } from './schema-text.ts';

export interface SchemaField {
  readonly isOptional: boolean;
  readonly schema: SchemaPart;
}

/** By name. */
export function fieldsOf(object: SchemaPart): ReadonlyMap<string, SchemaField> {
  const entries = object['entries'];
  if (typeof entries !== 'object' || entries === null) throw new Error(`${object.type} has no fields`);
  return new Map(
    Object.entries(entries).map(([name, value]: [string, unknown]) => {
      const field = partOf(value);
      const isOptional = field.type === 'optional';
      return [name, { isOptional, schema: isOptional ? partOf(field['wrapped']) : field }];
    }),
  );
}

export interface SchemaOption {
  /** Values of the field that tells options apart: all that this one is for. */
  readonly values: readonly string[];
  /** Without that field. */
  readonly fields: ReadonlyMap<string, SchemaField>;
}

/** What a variant may be; one option without values for an object that is no variant. */
export function optionsOf(schema: SchemaPart): SchemaOption[] {
  if (schema.type !== 'variant') return [{ values: [], fields: fieldsOf(schema) }];
  const key = keyOf(schema);
  return partsOf(schema['options']).map((option) => {
    const fields = new Map(fieldsOf(option));
    const told = fields.get(key)?.schema;
    fields.delete(key);
    const values = told?.type === 'picklist' ? told['options'] : [told?.['literal']];
    return { values: Array.isArray(values) ? values.map(String) : [], fields };
  });
}

/** The field that tells the options of a variant apart. */
export function keyOf(variant: SchemaPart): string {
  return String(variant['key']);
}

/** The object that a field holds, or has a list of; undefined for all else. */
export function objectIn(schema: SchemaPart): SchemaPart | undefined {
  if (isComposed(schema)) return schema;
  const [first] = partsOf(schema['pipe']);
  if (first !== undefined && first !== schema) return objectIn(first);
  return schema.type === 'array' ? objectIn(partOf(schema['item'])) : undefined;
}

/** `hello.engine.version`, `ask.question.pull-auth.host`: every field and every option, each once. */
export function pathsOf(schema: SchemaPart, above = ''): Set<string> {
  const paths = new Set<string>();
  for (const { values, fields } of optionsOf(schema)) {
    for (const value of values.length === 0 ? [''] : values) {
      const at = value === '' ? above : `${above}${value}.`;
      if (value !== '') paths.add(at);
      for (const [name, field] of fields) {
        paths.add(`${at}${name}`);
        const object = objectIn(field.schema);
        if (object !== undefined) for (const path of pathsOf(object, `${at}${name}.`)) paths.add(path);
      }
    }
  }
  return paths;
}

/** Those of them that a value has. */
export function pathsIn(value: unknown, schema: SchemaPart, above = ''): Set<string> {
  const paths = new Set<string>();
  for (const each of Array.isArray(value) ? value : [value]) {
    const record = new Map<string, unknown>(Object.entries(Object(each)));
    const told = schema.type === 'variant' ? String(record.get(keyOf(schema))) : '';
    const at = told === '' ? above : `${above}${told}.`;
    if (told !== '') paths.add(at);
    const fields = optionsOf(schema).find(({ values }) => told === '' || values.includes(told))?.fields;
    for (const [name, field] of fields ?? []) {
      if (!record.has(name)) continue;
      paths.add(`${at}${name}`);
      const object = objectIn(field.schema);
      if (object === undefined) continue;
      for (const path of pathsIn(record.get(name), object, `${at}${name}.`)) paths.add(path);
    }
  }
  return paths;
}

/** Compares the tables of a document with schemas, field by field and bound by bound. */
import * as assert from 'uvu/assert';
import { quoted, type Section, type Table } from './protocol-document.ts';
import { keyOf, objectIn, optionsOf, type SchemaField } from './schema-fields.ts';
import { schemaText, type SchemaPart, type TypeNames } from './schema-text.ts';

interface Row {
  readonly takes: string;
  used: boolean;
}

const link = /\[[^\]]+\]\(#([a-z-]+)\)/;

export class SchemaTables {
  readonly #sections: ReadonlyMap<string, Section>;
  readonly #names: TypeNames;
  readonly #visited = new Set<string>();

  constructor(sections: ReadonlyMap<string, Section>, names: TypeNames) {
    this.#sections = sections;
    this.#names = names;
  }

  /** The sections that were compared. */
  get visited(): ReadonlySet<string> {
    return this.#visited;
  }

  /** Throws where the table of that section, or one that it refers to, says anything else than the schema. */
  compare(heading: string, schema: SchemaPart): void {
    this.#visited.add(heading);
    const table = this.#sections.get(heading)?.table;
    assert.ok(table, `no table at "${heading}"`);
    const key = schema.type === 'variant' ? [`\`${keyOf(schema)}\``] : [];
    assert.equal(table.header, [...key, 'field', 'takes', 'meaning'], heading);
    const rows = rowsOf(table, { isVariant: key.length > 0, heading });
    for (const { values, fields } of optionsOf(schema)) {
      for (const value of values.length === 0 ? [''] : values) {
        if (fields.size === 0) take(rows, `${value} –`, heading);
        else this.#compareFields(fields, { rows, heading, above: `${value} ` });
      }
    }
    const stray = [...rows].filter(([, { used }]) => !used).map(([name]) => name);
    assert.equal(stray, [], `"${heading}" has rows that are no fields`);
  }

  #compareFields(
    fields: ReadonlyMap<string, SchemaField>,
    place: { readonly rows: Map<string, Row>; readonly heading: string; readonly above: string },
  ): void {
    const { rows, heading, above } = place;
    for (const [name, { schema, isOptional }] of fields) {
      const path = `${above}${name}`;
      const { takes } = take(rows, isOptional ? `${path}?` : path, heading);
      const target = link.exec(takes)?.[1];
      const said = takes.replace(link, 'object');
      assert.is(said, schemaText(schema, this.#names), `"${heading}", ${path}`);
      const object = objectIn(schema);
      if (object === undefined) continue;
      if (target !== undefined) this.compare(target.replaceAll('-', ' '), object);
      else this.#compareFields(fieldsBelow(object), { ...place, above: below(path, said) });
    }
  }
}

function fieldsBelow(object: SchemaPart): ReadonlyMap<string, SchemaField> {
  const [only, ...more] = optionsOf(object);
  if (only === undefined || more.length > 0) throw new Error('a variant has a section of its own');
  return only.fields;
}

function below(path: string, takes: string): string {
  return takes.startsWith('list') ? `${path}[].` : `${path}.`;
}

function take(rows: ReadonlyMap<string, Row>, name: string, heading: string): Row {
  const row = rows.get(name);
  assert.ok(row, `"${heading}" has no row for ${name}`);
  row.used = true;
  return row;
}

/** By `VARIANT FIELD`, the field with its `?`. */
function rowsOf(
  table: Table,
  { isVariant, heading }: { isVariant: boolean; heading: string },
): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const cells of table.rows) {
    const [options = '', field = '', takes = ''] = isVariant ? cells : ['', ...cells];
    for (const option of isVariant ? quoted(options) : ['']) {
      const name = `${option} ${quoted(field)[0] ?? field}`;
      assert.not.ok(rows.has(name), `"${heading}" has two rows for ${name}`);
      rows.set(name, { takes, used: false });
    }
  }
  return rows;
}

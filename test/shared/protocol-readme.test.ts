import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeToAgent, decodeToCoordinator } from '../../shared/codec.ts';
import { goingAway, internalError } from '../../shared/context/frames.ts';
import {
  answerSchema,
  decodeAnswer,
  decodeWant,
  wantSchema,
} from '../../shared/context/transfer-messages.ts';
import { closeCodes, limits, SERVED_VERSIONS } from '../../shared/messages.ts';
import { toAgentSchema, toCoordinatorSchema } from '../../shared/schemas.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { quoted, readSections, tablesIn, type Section, type Table } from '../support/protocol-document.ts';
import { pathsIn, pathsOf } from '../support/schema-fields.ts';
import { SchemaTables } from '../support/schema-tables.ts';
import { partOf, type SchemaPart, type TypeNames } from '../support/schema-text.ts';

const control = await readSections('shared/README.md');
const contexts = await readSections('shared/context/README.md');
const names = typeNames();

interface Spoken {
  readonly sections: ReadonlyMap<string, Section>;
  readonly heading: string;
  readonly schema: SchemaPart;
  readonly decode: (frame: Buffer) => unknown;
}

const spoken: readonly Spoken[] = [
  {
    sections: control,
    heading: 'To the coordinator',
    schema: partOf(toCoordinatorSchema),
    decode: decodeToCoordinator,
  },
  { sections: control, heading: 'To the agent', schema: partOf(toAgentSchema), decode: decodeToAgent },
  { sections: contexts, heading: 'From the receiver', schema: partOf(wantSchema), decode: decodeWant },
  { sections: contexts, heading: 'From the sender', schema: partOf(answerSchema), decode: decodeAnswer },
];

/** As the table of types and the sentence with all codes have them. */
function typeNames(): TypeNames {
  const types = tableOf(control, 'Types').rows.map(([type = '', takes = '']) => [takes, type] as const);
  const [, codes = ''] = /^A code is one of (.*?)\./ms.exec(control.get('Types')?.text ?? '') ?? [];
  return new Map([...types, [codes.replaceAll(/\s+/g, ' '), 'code']]);
}

function tableOf(sections: ReadonlyMap<string, Section>, heading: string): Table {
  const table = sections.get(heading)?.table;
  assert.ok(table, `no table at "${heading}"`);
  return table;
}

/** The figures of the table with this header, by the name in back quotes. */
function figuresOf(first: string): Map<string, number> {
  const text = control.get('Limits, times and close codes')?.text ?? '';
  const table = tablesIn(text).find(({ header }) => header[0] === first);
  assert.ok(table, `no table of each ${first}`);
  return new Map(
    table.rows.map(([name = '', value = '']) => [quoted(name)[0] ?? name, Number(value.replaceAll(',', ''))]),
  );
}

for (const { sections, heading, schema, decode } of spoken) {
  const told = heading.toLowerCase();

  test(`tables of messages ${told} have every field, its bounds, and whether it may be left out`, () => {
    new SchemaTables(sections, names).compare(heading, schema);
  });

  test(`examples of messages ${told} are taken as they are, and leave no field or variant out`, () => {
    const examples = sections.get(heading)?.examples ?? [];
    for (const example of examples) assert.equal(decode(Buffer.from(JSON.stringify(example))), example);
    const shown = new Set(examples.flatMap((example) => [...pathsIn(example, schema)]));
    assert.equal(
      [...pathsOf(schema)].filter((path) => !shown.has(path)),
      [],
    );
  });
}

test('no table of fields is left that belongs to no message, and no example stands elsewhere', () => {
  for (const sections of [control, contexts]) {
    const tables = new SchemaTables(sections, names);
    const here = spoken.filter((each) => each.sections === sections);
    for (const { heading, schema } of here) tables.compare(heading, schema);
    for (const [heading, { table, examples }] of sections) {
      if (table?.header.includes('takes') && heading !== 'Types')
        assert.ok(tables.visited.has(heading), heading);
      if (examples.length > 0)
        assert.ok(
          here.some((each) => each.heading === heading),
          heading,
        );
    }
  }
});

test('limits, times, close codes and versions are those of the code', () => {
  assert.equal(Object.fromEntries(figuresOf('limit')), limits);
  const times = figuresOf('time');
  assert.ok(times.size >= 10);
  const timers: ReadonlyMap<string, unknown> = new Map(Object.entries(defaultTimers));
  for (const [name, value] of times) assert.is(timers.get(name), value, name);
  const codes = tablesIn(control.get('Limits, times and close codes')?.text ?? '').find(
    ({ header }) => header[0] === 'code',
  );
  const known = new Set(codes?.rows.map(([code]) => Number(code)));
  for (const code of [...Object.values(closeCodes), goingAway, internalError])
    assert.ok(known.has(code), String(code));
  const versions = tableOf(control, 'Versions').rows.map(([version]) => Number(version));
  assert.equal(versions, SERVED_VERSIONS);
});

test.run();

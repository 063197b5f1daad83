import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../../coordinator/store/database.ts';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { Audit, type AuditOptions } from '../../../coordinator/trust/audit.ts';
import {
  ChainCheck,
  hashOf,
  type AuditHead,
  type AuditVerdict,
} from '../../../coordinator/trust/audit-chain.ts';
import { HeadFile } from '../../../coordinator/trust/audit-head.ts';
import { Refusals } from '../../../coordinator/trust/refusals.ts';
import { silentLogger } from '../../../shared/log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Does something with an audit that lies in a directory, as one run of a coordinator would. */
async function run(
  data: string,
  work: (audit: Audit) => Promise<void> | void,
  options: Partial<AuditOptions> = {},
): Promise<void> {
  await using store = await SqliteStore.open(data);
  const headFile = new HeadFile(data);
  const audit = Audit.open({ table: store.audit, headFile, log: silentLogger, ...options });
  await work(audit);
  await audit.close();
}

/** What whoever reads all rows finds, with the head as the next run of the coordinator has it. */
async function verdictOf(data: string, noted: readonly AuditHead[] = []): Promise<AuditVerdict> {
  await using store = await SqliteStore.open(data);
  const head = new HeadFile(data).read();
  const check = new ChainCheck(head === undefined ? noted : [head, ...noted]);
  for (const row of store.audit.rows({ after: 0, since: 0, limit: 1_000_000 })) check.take(row);
  return check.verdict();
}

async function entries(data: string): Promise<Record<string, unknown>[]> {
  await using store = await SqliteStore.open(data);
  const rows = store.audit.rows({ after: 0, since: 0, limit: 1_000_000 });
  return rows.map((row): Record<string, unknown> => JSON.parse(row.entry));
}

/** An audit of `count` rows. */
async function written(data: string, count = 6): Promise<void> {
  await run(data, async (audit) => {
    for (let index = 1; index <= count; index++) {
      await audit.record({ action: 'submit', who: 'alice', from: '10.0.0.1', build: `b${index}` });
    }
  });
}

/** As somebody does who can write to the database and knows how it is made. */
async function tamper(data: string, sql: string): Promise<void> {
  const database = await openDatabase(join(data, 'archfarm.db'));
  database.exec(`DROP TRIGGER IF EXISTS audit_is_kept; ${sql}`);
  database.close();
}

test('rows say who did what, hang together, and go on after a restart', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await written(data, 3);
  await run(data, async (audit) => {
    const visitor = { principal: { type: 'token' }, from: '10.0.0.2' } as const;
    await Promise.all([
      audit.note(visitor, { action: 'drain-agent', agent: 'pi-01' }),
      audit.note(visitor, { action: 'publish', tags: ['lab/app:1'], digest: 'sha256:0' }),
    ]);
  });
  const { faults, rows, head } = await verdictOf(data);
  assert.equal(faults, []);
  assert.is(rows, 5);
  assert.is(head?.number, 5);
  const [first, , , drained, published] = await entries(data);
  assert.is(first?.['build'], 'b1');
  assert.is(drained?.['who'], 'the shared token');
  assert.is(drained?.['from'], '10.0.0.2');
  assert.equal(published?.['tags'], ['lab/app:1']);
});

const tamperings: [what: string, sql: string, fault: RegExp][] = [
  [
    'an altered row',
    `UPDATE audit SET entry = replace(entry, 'b3', 'b9') WHERE number = 3`,
    /row 3 was altered/,
  ],
  ['an altered time', 'UPDATE audit SET time = time - 1 WHERE number = 3', /row 3 was altered or moved/],
  ['a removed row', 'DELETE FROM audit WHERE number = 3', /row 3 is not where it was: 4 follows 2/],
  ['the first row removed', 'DELETE FROM audit WHERE number = 1', /rows up to 1 are missing/],
  [
    'a removed row whose followers were moved up',
    'DELETE FROM audit WHERE number = 3; UPDATE audit SET number = number - 1 WHERE number > 3',
    /row 3 was altered or moved/,
  ],
  [
    'two rows in each other’s place',
    `UPDATE audit SET number = 100 WHERE number = 3; UPDATE audit SET number = 3 WHERE number = 4;
     UPDATE audit SET number = 4 WHERE number = 100`,
    /row 3 was altered or moved/,
  ],
  ['the last row cut off', 'DELETE FROM audit WHERE number = 6', /rows from 6 to 6 are missing at the end/],
  ['all rows removed', 'DELETE FROM audit', /rows from 1 to 6 are missing at the end/],
];

for (const [what, sql, fault] of tamperings) {
  test(`it shows: ${what}`, async () => {
    await using directory = await temporaryDirectory();
    await written(directory.path);
    assert.equal((await verdictOf(directory.path)).faults, []);
    await tamper(directory.path, sql);
    assert.match((await verdictOf(directory.path)).faults.join('\n'), fault);
  });
}

test('an altered row whose hash was made to fit shows by the next one, the last one by the head', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await written(data);
  const forge = async (number: number): Promise<void> => {
    const entry = JSON.stringify({ ...(await entries(data))[number - 1], build: 'forged' });
    const values = `entry = '${entry}', hash = '${hashOf(entry)}'`;
    await tamper(data, `UPDATE audit SET ${values} WHERE number = ${number}`);
  };
  await forge(6);
  assert.match((await verdictOf(data)).faults.join('\n'), /row 6 is not the one that was noted/);
  await forge(2);
  assert.match((await verdictOf(data)).faults.join('\n'), /row 3 does not follow row 2 as that is now/);
});

test('rows that were all written anew, with the head, show to whoever noted an earlier head', async () => {
  await using directory = await temporaryDirectory();
  await using other = await temporaryDirectory();
  await written(directory.path, 4);
  const noted = (await verdictOf(directory.path)).head;
  await run(other.path, async (audit) => {
    for (let index = 0; index < 5; index++) await audit.record({ action: 'submit', who: 'mallory' });
  });
  assert.equal((await verdictOf(other.path)).faults, []);
  assert.ok(noted);
  assert.match(
    (await verdictOf(other.path, [noted])).faults.join('\n'),
    /row 4 is not the one that was noted/,
  );
});

test('a coordinator that starts on a cut audit says so in it, for ever', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await written(data);
  await tamper(data, 'DELETE FROM audit WHERE number > 4');
  await run(data, (audit) => audit.record({ action: 'submit', build: 'later' }));
  await run(data, (audit) => audit.record({ action: 'submit', build: 'later still' }));
  const [alarm] = (await entries(data)).filter((entry) => entry['action'] === 'security');
  assert.match(String(alarm?.['what']), 'row 6 of the audit');
  assert.match((await verdictOf(data)).faults.join('\n'), /row 5 is not where it was: 7 follows 4/);
});

test('a coordinator that starts without the head, or with a damaged one, says so', async () => {
  for (const text of ['', 'x']) {
    await using directory = await temporaryDirectory();
    const data = directory.path;
    await written(data, 2);
    const path = join(data, 'audit-head');
    assert.match(await readFile(path, 'utf8'), /^2 [0-9a-f]{64}\n$/);
    await writeFile(path, text);
    await run(data, (audit) => audit.record({ action: 'submit' }));
    assert.match(String((await entries(data))[2]?.['what']), /the file that keeps the last row/);
  }
});

test('too many rows: the oldest go, a row says so, and what is left hangs together', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  const work = async (audit: Audit): Promise<void> => {
    for (let index = 0; index < 55; index++) await audit.record({ action: 'submit', build: `b${index}` });
  };
  await run(data, work, { maxRows: 20 });
  const { faults, rows } = await verdictOf(data);
  assert.equal(faults, []);
  assert.ok(rows <= 22, `${rows} rows`);
  const left = await entries(data);
  assert.is(left.at(-1)?.['build'], 'b54');
  assert.ok(left.some((entry) => entry['action'] === 'drop-rows'));
  const numbers = left.map((entry) => Number(entry['number']));
  await tamper(data, `DELETE FROM audit WHERE number = ${numbers[0]}`);
  assert.match(
    (await verdictOf(data)).faults.join('\n'),
    /are missing, and none says that they were dropped/,
  );
});

test('refusals of one kind are two rows a minute, however many there are', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await run(data, (audit) => {
    const refusals = new Refusals(audit);
    for (let index = 0; index < 500; index++)
      refusals.note({
        action: 'login-refused',
        kind: 'submit',
        from: '10.0.0.9',
        what: 'to submit builds',
      });
    for (let index = 0; index < 5000; index++)
      refusals.note({ action: 'login-refused', kind: undefined, from: `10.1.0.${index}` });
    refusals.close();
  });
  const all = await entries(data);
  assert.ok(all.length < 110, `${all.length} rows`);
  const counts = all.filter((entry) => entry['from'] === '10.0.0.9').map((entry) => entry['count']);
  assert.equal(counts, [undefined, 499]);
  const told = all.reduce((sum, entry) => sum + Number(entry['count'] ?? 1), 0);
  assert.is(told, 5500);
});

test('what somebody words itself makes no kinds of refusals', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await run(data, (audit) => {
    const refusals = new Refusals(audit);
    const bob = { action: 'forbidden', who: 'bob', from: '10.0.0.7', kind: 'submit' } as const;
    for (let index = 0; index < 1000; index++) refusals.note({ ...bob, what: `not for lab/x:${index}` });
    refusals.note({ ...bob, kind: 'cancel', what: 'not yours' });
    refusals.close();
  });
  const all = await entries(data);
  const told = all.map(({ what, count = 1 }) => [what, count]);
  assert.equal(told, [
    ['not for lab/x:0', 1],
    ['not yours', 1],
    ['not for lab/x:0, or the like', 999],
  ]);
  assert.equal((await verdictOf(data)).faults, []);
});

test('no user and no address has many kinds of refusals, and none hides those of others', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await run(data, (audit) => {
    const refusals = new Refusals(audit);
    for (let index = 0; index < 100; index++) {
      const kind = `kind ${index}`;
      refusals.note({ action: 'forbidden', who: 'bob', from: `fd00::${index}`, kind, what: kind });
      refusals.note({ action: 'login-refused', from: '10.0.0.9', kind, what: kind });
      refusals.note({ action: 'login-refused', from: `10.1.0.${index}`, kind, what: kind });
    }
    refusals.note({ action: 'forbidden', who: 'eve', from: '10.0.0.8', kind: 'submit', what: 'not yours' });
    refusals.close();
  });
  const all = await entries(data);
  const rowsOf = (key: 'who' | 'from', value: string): number =>
    all.filter((entry) => entry[key] === value).length;
  assert.is(rowsOf('who', 'bob'), 22);
  assert.is(rowsOf('from', '10.0.0.9'), 22);
  assert.is(rowsOf('who', 'eve'), 1);
  assert.ok(all.length < 110, `${all.length} rows`);
  assert.is(
    all.reduce((sum, { count = 1 }) => sum + Number(count), 0),
    301,
  );
});

test.run();

import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fingerprintOf, StatTable, type Fingerprint } from '../../../coordinator/context/stat-table.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const empty = Buffer.alloc(0);

/** As of a file whose inode and ctime are this number. */
function fingerprint(number: number): Fingerprint {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32LE(number, 8);
  bytes.writeUInt32LE(number, 32);
  return bytes;
}

function digest(number: number): string {
  return digestOf(Buffer.from(String(number)));
}

function encode(table: StatTable, added: readonly (readonly [Fingerprint, string])[] = []): Buffer {
  for (const [print, content] of added) table.add(print, content);
  return Buffer.concat([...table.encode()]);
}

function tableOf(count: number): Buffer {
  const numbers = Array.from({ length: count }, (_, number) => number);
  return encode(
    new StatTable(empty),
    numbers.map((number) => [fingerprint(number), digest(number)] as const),
  );
}

test('finds what was encoded, each by its own fingerprint, and nothing else', () => {
  const bytes = tableOf(2000);
  const table = new StatTable(bytes);
  assert.is(table.count, 2000);
  for (let number = 0; number < 2000; number++) assert.is(table.find(fingerprint(number)), digest(number));
  assert.is(table.find(fingerprint(2000)), undefined);
  assert.is(table.usedCount, 2000);
  assert.is(bytes.length, 16 + 2000 * 72 + 32);
});

test('a fingerprint differs in every one of its parts', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'file');
  await writeFile(path, 'text');
  const stat = await lstat(path, { bigint: true });
  const table = new StatTable(encode(new StatTable(empty), [[fingerprintOf(stat), digest(1)]]));
  assert.is(table.find(fingerprintOf(stat)), digest(1));
  for (const part of ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const) {
    const other = Object.assign(Object.create(stat), { [part]: stat[part] + 1n });
    assert.is(table.find(fingerprintOf(other)), undefined, part);
  }
});

test('keeps what was used and adds what is new', () => {
  const table = new StatTable(tableOf(10));
  for (const number of [3, 7, 7]) table.find(fingerprint(number));
  const next = new StatTable(encode(table, [[fingerprint(50), digest(50)]]));
  assert.is(next.count, 3);
  for (const number of [3, 7, 50]) assert.is(next.find(fingerprint(number)), digest(number));
  assert.is(next.find(fingerprint(4)), undefined);
});

test('bytes that are damaged anywhere, cut or of another kind are an empty table', () => {
  const bytes = tableOf(3);
  const broken = [empty, bytes.subarray(0, -1), bytes.subarray(0, 16), Buffer.alloc(bytes.length)];
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    broken.push(damaged);
  }
  for (const candidate of broken) {
    const table = new StatTable(candidate);
    assert.is(table.count, 0);
    assert.is(table.find(fingerprint(1)), undefined);
  }
});

test.run();

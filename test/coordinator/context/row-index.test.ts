import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RowIndex } from '../../../coordinator/context/row-index.ts';
import { RowLookup } from '../../../coordinator/context/row-lookup.ts';
import { Rows } from '../../../coordinator/context/rows.ts';

function digest(number: number): string {
  return `sha256:${createHash('sha256').update(String(number)).digest('hex')}`;
}

test('finds each row by its hash, with many that share one', () => {
  const hashes = [0, -1, 7, 2 ** 31 - 1, -(2 ** 31)];
  const hashOf = (row: number): number => hashes[row % hashes.length] ?? 0;
  for (const expected of [0, 16, 5000]) {
    const index = new RowIndex(hashOf, expected);
    for (let row = 0; row < 1000; row++) index.add(row);
    for (let row = 0; row < 1000; row++)
      assert.is(
        index.find(hashOf(row), (other) => other === row),
        row,
      );
    assert.is(
      index.find(7, () => false),
      undefined,
    );
  }
});

test('a lookup agrees with a Map of the first of equal digests', () => {
  const digests = Array.from({ length: 3000 }, (_, row) => digest(row % 1777));
  const lookup = new RowLookup({
    count: digests.length,
    digest: (row) => digests[row] ?? '',
    value: (row) => row,
  });
  const model = new Map(digests.map((each, row) => [each, row] as const).toReversed());
  assert.equal(new Map(lookup), new Map([...model].toReversed()));
  for (const [each, row] of model) assert.is(lookup.get(each), row);
  assert.is(lookup.has(digest(1777)), false);
});

test('rows keep their bytes over all blocks, and the last can be dropped', () => {
  const rows = new Rows(6);
  for (let row = 0; row < 2500; row++) {
    assert.is(rows.add(), row);
    rows.block(row).writeUIntLE(row * 1000, rows.offset(row), 6);
  }
  for (let row = 0; row < 2500; row++) assert.is(rows.block(row).readUIntLE(rows.offset(row), 6), row * 1000);
  assert.is(Buffer.concat([...rows.bytes()]).length, 2500 * 6);
  for (let row = 2499; row >= 2047; row--) rows.drop();
  assert.is(rows.count, 2047);
  assert.throws(() => rows.block(2047));
  assert.is(rows.add(), 2047);
  assert.is(Buffer.concat([...rows.bytes()]).length, 2048 * 6);
});

test.run();

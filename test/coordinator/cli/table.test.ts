import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatTable } from '../../../coordinator/cli/table.ts';

test('columns are as wide as their widest cell', async () => {
  const table = await formatTable(
    ['NAME', 'B'],
    [
      ['a', 'x'],
      ['longer', ''],
    ],
  );
  assert.equal(table.split('\n'), ['NAME    B', 'a       x', 'longer']);
  assert.is(await formatTable(['A', 'B'], []), 'A  B');
});

test('columns are as wide as a terminal shows their widest cell', async () => {
  const table = await formatTable(
    ['A', 'B'],
    [
      ['日本', 'x'],
      ['\u001B[31mred\u001B[0m', ''],
    ],
  );
  assert.equal(table.split('\n'), ['A     B', '日本  x', '\u001B[31mred\u001B[0m']);
});

test.run();

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recordsAlong } from '../../../coordinator/context/records-along.ts';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);

test('all records of small trees go along, and none of trees that are not', async () => {
  await using directory = await temporaryDirectory();
  await mkdir(join(directory.path, 'sub'));
  for (let file = 0; file < 100; file++) await writeFile(join(directory.path, 'sub', `file-${file}`), '');
  const small = await scanContext(directory.path, { signal });
  const records = recordsAlong([small]);
  const digests = [...small.directories, ...small.allTimes].map(([digest]) => digest);
  assert.equal(records.map(digestOf).toSorted(), digests.toSorted());
  assert.is(recordsAlong([small, small]).length, 8);
  assert.equal(recordsAlong([small, small, small, small]), []);
  assert.equal(recordsAlong([{ ...small, entries: 100_000 }]), []);
});

test.run();

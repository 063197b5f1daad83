import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Journal } from '../../agent/journal.ts';
import type { Outcome } from '../../shared/task.ts';
import { sampleDigest } from '../support/sample-messages.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const pushed: Outcome = {
  status: 'pushed',
  image: { imageId: sampleDigest, digest: sampleDigest, size: 5, timings: { build: 3 }, sentBytes: 9 },
};
const cancelled: Outcome = { status: 'cancelled', reason: 'because "quoted"\nand broken' };

function attempt(number: number): string {
  return `build/linux/amd64/${number}`;
}

async function reopened(path: string): Promise<[string, Outcome][]> {
  const journal = await Journal.open(path);
  const pending = [...journal.pending];
  await journal.close();
  return pending;
}

test('reports that were not settled are there after a restart, in their order', async () => {
  await using dir = await temporaryDirectory();
  const path = join(dir.path, 'deep', 'journal');
  const journal = await Journal.open(path);
  await journal.add(attempt(1), pushed);
  await Promise.all([journal.add(attempt(2), cancelled), journal.add(attempt(3), pushed)]);
  await journal.settle(attempt(1));
  await journal.settle('never/linux/amd64/1');
  assert.equal([...journal.pending.keys()], [attempt(2), attempt(3)]);
  await journal.close();
  assert.is((await stat(path)).mode & 0o777, 0o600);
  const left = [
    [attempt(2), cancelled],
    [attempt(3), pushed],
  ];
  assert.equal(await reopened(path), left);
  assert.equal(await reopened(path), left);
});

test('a report is on disk when it was added, though the process is killed then', async () => {
  await using dir = await temporaryDirectory();
  const path = join(dir.path, 'journal');
  const journal = await Journal.open(path);
  await journal.add(attempt(1), pushed);
  const copy = join(dir.path, 'copy');
  await writeFile(copy, await readFile(path));
  await journal.close();
  assert.equal(await reopened(copy), [[attempt(1), pushed]]);
});

test('a line torn anywhere loses that line alone', async () => {
  await using dir = await temporaryDirectory();
  const path = join(dir.path, 'journal');
  const journal = await Journal.open(path);
  await journal.add(attempt(1), pushed);
  const whole = await readFile(path);
  await journal.add(attempt(2), cancelled);
  await journal.close();
  const both = await readFile(path);
  for (let size = whole.length; size < both.length - 1; size += 7) {
    await writeFile(path, both.subarray(0, size));
    assert.equal(await reopened(path), [[attempt(1), pushed]], `cut at ${size}`);
  }
  const settled = Buffer.from(`{"settled":"${attempt(1)}"}`);
  await writeFile(path, Buffer.concat([whole, settled.subarray(0, -1)]));
  assert.equal(await reopened(path), [[attempt(1), pushed]]);
  await writeFile(path, Buffer.concat([whole, settled]));
  assert.equal(await reopened(path), []);
});

test('foreign bytes in the file are passed over', async () => {
  await using dir = await temporaryDirectory();
  const path = join(dir.path, 'journal');
  const line = `{"attempt":"${attempt(1)}","outcome":${JSON.stringify(pushed)}}`;
  const junk = ['\0\0\0\0', '{"attempt":"../x","outcome":{}}', '{"attempt":1}', '[]', '\uFFFD', line, 'null'];
  await writeFile(path, junk.join('\n'));
  assert.equal(await reopened(path), [[attempt(1), pushed]]);
});

test('the file shrinks when it is opened, and while it runs as soon as all is settled', async () => {
  await using dir = await temporaryDirectory();
  const path = join(dir.path, 'journal');
  const journal = await Journal.open(path);
  const long: Outcome = { status: 'cancelled', reason: 'x'.repeat(100_000) };
  for (let number = 1; number <= 15; number++) {
    await journal.add(attempt(number), long);
    await journal.settle(attempt(number));
  }
  assert.ok((await stat(path)).size < 1_200_000, `${(await stat(path)).size} bytes`);
  await journal.add(attempt(99), pushed);
  await journal.close();
  assert.equal(await reopened(path), [[attempt(99), pushed]]);
  assert.ok((await stat(path)).size < 1000);
});

test('a directory in place of the file is an error', async () => {
  await using dir = await temporaryDirectory();
  const outcome = await Journal.open(dir.path).catch((error: unknown) => error);
  assert.instance(outcome, Error);
});

test.run();

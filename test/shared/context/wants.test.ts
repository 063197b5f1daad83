import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

async function manyWants(count: number): Promise<{ bytes: number; hurry: number; failed: number }> {
  await using directory = await temporaryDirectory();
  const script = ['--expose-gc', '--import', 'tsx', 'test/support/many-wants.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, [...script, directory.path, String(count)]);
  return JSON.parse(stdout);
}

test('200,000 contents that wait take little memory, and the urgent ones overtake the rest at once', async () => {
  const few = await manyWants(20_000);
  const many = await manyWants(200_000);
  assert.is(many.failed, 300_000);
  assert.ok(many.bytes < 1200, `${Math.round(many.bytes)} bytes each`);
  // Ten times as many; a search through all that wait would make it a hundred times.
  assert.ok(many.hurry < 40 * Math.max(few.hurry, 20), `${many.hurry} ms after ${few.hurry} ms`);
});

test.run();

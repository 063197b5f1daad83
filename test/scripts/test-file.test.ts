import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sweepDeadOwners } from '../../scripts/rig/leftovers.ts';
import { runTestFile, type TestFileResult } from '../../scripts/test-file.ts';

function run(name: string, timeout = 60_000): Promise<TestFileResult> {
  return runTestFile(fileURLToPath(new URL(`bad-files/${name}.ts`, import.meta.url)), {
    timeout,
    env: process.env,
  });
}

test('counts the tests of a good file', async () => {
  const { passed, failed, faults } = await run('good');
  assert.equal({ passed, failed, faults }, { passed: 2, failed: 0, faults: [] });
});

test('shows the output of a failing test and counts it', async () => {
  const { passed, failed, output } = await run('failing');
  assert.equal([passed, failed], [1, 1]);
  assert.match(output, 'on purpose');
  assert.match(output, '/bad-files/failing.ts:5:9');
});

for (const name of ['throws-text', 'throwing-hook', 'forgotten-run']) {
  test(`does not believe a file that exits 0 without all its tests: ${name}`, async () => {
    const { failed, faults } = await run(name);
    assert.ok(failed >= 1);
    assert.ok(faults.length >= 1);
  });
}

test('ends a file that hangs after its tests', async () => {
  const { passed, failed, faults } = await run('hanging', 3_000);
  assert.equal([passed, failed], [1, 1]);
  assert.match(faults.join(), 'still running after 3 s');
});

test('finds and ends a process that left the process group', async () => {
  const { failed, faults } = await run('leftover-child');
  assert.is(failed, 1);
  const pid = /process sleep \((\d+)\)/.exec(faults.join())?.[1];
  assert.ok(pid, faults.join());
  // What init has not yet reaped has no environment any more.
  assert.is(await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''), '');
});

test('finds a directory that was left', async () => {
  const { failed, faults } = await run('leftover-directory');
  assert.is(failed, 1);
  assert.match(faults.join(), /directory \/tmp\/archfarm-leftover-\d+/);
  await sweepDeadOwners();
});

test('fails a file that is interrupted', async () => {
  const file = fileURLToPath(new URL('bad-files/hanging.ts', import.meta.url));
  const options = { timeout: 60_000, env: process.env, signal: AbortSignal.abort() };
  assert.match((await runTestFile(file, options)).faults.join(), 'interrupted');
});

test.run();

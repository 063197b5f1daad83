/** A coordinator that dies as a build is submitted (the rest of F29 is in coordinator.test.ts): the client is told once. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { startArchfarm } from '../support/archfarm-command.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';
import { writeFiles } from '../support/write-files.ts';
import { readStore } from './read-store.ts';

const killer = fileURLToPath(new URL('../support/kill-at-commit.cjs', import.meta.url));
const scratch = await scratchDirectory('submission');
const registry = await startRegistry();
const killAt = `${scratch.path}/kill-at`;
const farm = await startFarmProcesses({
  agents: [],
  coordinatorEnv: {
    ARCHFARM_TIMERS: '0.1',
    NODE_OPTIONS: `--require ${killer}`,
    ARCHFARM_TEST_KILL_AT: killAt,
  },
});
const context = await writeFiles(`${scratch.path}/context`, {
  Dockerfile: 'FROM scratch\nCOPY a /\n',
  a: 'a',
});

for (const point of ['before submitted', 'after submitted', 'after archived']) {
  test(`F29: a coordinator that dies ${point} has the build once, and its client waits for it`, async () => {
    const earlier = await readStore(`${farm.dir}/coordinator`);
    await writeFile(killAt, point);
    const name = `${registry.host}/app`;
    const flags = ['-t', name, '--platform', 'linux/amd64', '--wait-agent', '2s'];
    await using build = startArchfarm(['build', ...flags, context], farm);
    assert.is(await farm.coordinator.ended, 'signal SIGKILL');
    await farm.startCoordinator();
    const { status, stderr } = await build.ended;
    // There is nobody to build it: the client has heard so from the coordinator that came back.
    assert.is(status, 4, stderr);
    const stored = await readStore(`${farm.dir}/coordinator`);
    assert.is(stored.length, earlier.length + 1);
    assert.is(stored.at(-1)?.status, 'failed');
  });
}

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

test.run();

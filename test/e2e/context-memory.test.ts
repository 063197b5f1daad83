/** A context of very many files moves without taking the coordinator's host over. All 198,000 of them with all sizes. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';

/** Of 440 files each. */
const directories = process.env['ARCHFARM_TEST_FULL'] === '1' ? 450 : 150;
const mebibyte = 1024 * 1024;

async function writeContext(path: string): Promise<void> {
  for (let directory = 0; directory < directories; directory++) {
    await mkdir(`${path}/${directory}`, { recursive: true });
    const names = Array.from({ length: 440 }, (_, index) => `${path}/${directory}/${index}.txt`);
    await Promise.all(names.map((name) => writeFile(name, `${name}\n`.repeat(4))));
  }
  await writeFile(`${path}/Dockerfile`, 'FROM scratch\nCOPY . /\n');
}

/** The most that the process ever held in memory. Source: proc(5), VmHWM. */
async function highestMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

test('a coordinator takes a context of very many files in less than 100 MB, also the second time [X8]', async () => {
  await using context = await scratchDirectory('many-files');
  await writeContext(context.path);
  await using registry = await startRegistry();
  await using farm = await startFarmProcesses({ agents: [] });
  const idle = await highestMemory(farm.coordinator.pid);

  const tag = `${registry.host}/lab/many-files`;
  for (const kind of ['first', 'again']) {
    const build = ['build', context.path, '-t', tag, '--platform', 'linux/arm64', '--wait-agent', '1h'];
    const detached = await archfarm([...build, '--detach'], farm);
    assert.is(detached.status, 0, detached.stderr);
    const taken = (await highestMemory(farm.coordinator.pid)) - idle;
    assert.ok(taken < 100 * mebibyte, `${kind}: ${Math.round(taken / mebibyte)} MiB`);
  }
});

test.run();

/** An engine whose disk is full or has no inode left, while another engine is well. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf } from '../support/build-command.ts';
import { agentReason, agentState, attemptsOf } from '../support/chaos-builds.ts';
import { amd64, startLab, type Order } from '../support/chaos-lab.ts';
import { fileSystemImage } from '../support/file-system-image.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const run = promisify(execFile);
const megabyte = 1024 ** 2;
const disk = await fileSystemImage({ bytes: 64 * megabyte, inodes: 2_000 });
const lab = await startLab({
  engineData: { b: disk.path },
  agentEnv: { ARCHFARM_MIN_FREE: '4MiB' },
});
const row = rowsOf(lab);
const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';

async function bIs(state: string, meanwhile?: () => Promise<void>): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    await meanwhile?.();
    return (await agentState(lab, 'b')) === state;
  };
  try {
    await until(isSo, { timeout: 60_000, every: 100, what: `b is ${state}` });
  } catch (cause) {
    throw new Error(`b is not ${state}: ${await agentReason(lab, 'b')}`, { cause });
  }
}

/** While `a` is drained, whatever can be done goes to `b`. */
async function order(agent: string, verb: 'drain' | 'resume'): Promise<void> {
  const answer = await fetch(`http://${lab.farm.address}/v1/agents/${agent}/${verb}`, { method: 'POST' });
  assert.ok(answer.ok, await answer.text());
}

/** It does not fit on the engine of `b`, and `a` does it as soon as it may. */
async function goesElsewhere(asked: Order): Promise<void> {
  await order('a', 'drain');
  await using build = lab.start(asked, ['--wait-agent', '1m']);
  const failed = (): boolean =>
    build.frames().some((frame) => frame.type === 'state' && frame.error?.code === 'disk-full');
  await until(failed, { timeout: 60_000, what: 'the full disk is named' });
  await order('a', 'resume');
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(attemptsOf(result, amd64)[0], 'b failed');
  assert.is(platformOf(result, amd64).agent, 'a');
}

/** BuildKit keeps what it has got of the context, at first even from who wants to remove it. */
async function pruned(): Promise<void> {
  const prune = async (): Promise<boolean> => {
    await run('docker', ['-H', lab.agent('b').engine.host, 'builder', 'prune', '-a', '-f']);
    return (await agentState(lab, 'b')) === 'ready';
  };
  await until(prune, { timeout: 120_000, every: 1_000, what: 'there is room again' });
}

/** What is small enough is built by `b` again. */
async function worksAgain(name: string): Promise<void> {
  await bIs('ready');
  await order('a', 'drain');
  await using build = lab.start(await lab.order(`${name}-small`), ['--wait-agent', '1m']);
  const { status, stderr, result } = await build.ended();
  await order('a', 'resume');
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).agent, 'b');
}

row(
  'F18: an engine without inodes leaves a build to another, and builds again when it has some',
  async (name) => {
    const files = `${disk.path}/files`;
    await mkdir(files);
    let made = 0;
    const fill = async (left: number): Promise<void> => {
      for (let { ffree } = await statfs(disk.path); ffree > left; ffree -= 1) {
        await writeFile(`${files}/${made++}`, '');
      }
    };
    /** The agent reclaims what it may, and the engine writes: nothing stays full by itself. */
    const keepFull = (): Promise<void> =>
      fill(0).catch((error: NodeJS.ErrnoException) => assert.is(error.code, 'ENOSPC'));
    try {
      await fill(3);
      await goesElsewhere(await lab.order(name));
      await bIs('cordoned', keepFull);
      assert.match((await agentReason(lab, 'b')) ?? '', 'no inode is free');
    } finally {
      await rm(files, { recursive: true });
    }
    await worksAgain(name);
  },
);

row(
  'F17: an engine that has no room for a build leaves it to another, and builds what fits',
  async (name) => {
    await goesElsewhere(await lab.order(name, { padding: 64 * megabyte }));
    // A minute or so passes before there is room again.
    if (!isFull) return;
    await pruned();
    await worksAgain(name);
    const { bavail, bsize } = await statfs(disk.path);
    const filler = `${disk.path}/filler`;
    await writeFile(filler, Buffer.alloc(bavail * bsize - 3 * megabyte));
    await bIs('cordoned');
    assert.match((await agentReason(lab, 'b')) ?? '', /^disk: .* free at /);
    await rm(filler);
    await bIs('ready');
  },
);

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
});

test.run();

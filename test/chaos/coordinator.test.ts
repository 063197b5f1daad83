/** A coordinator that dies at each of its transitions and at any time, loses answers, runs out of disk, or stands still. */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { archfarm } from '../support/archfarm-command.ts';
import { platformOf } from '../support/build-command.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { smallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { integrity, readStore } from './read-store.ts';
import { rowsOf } from './row.ts';

const killer = fileURLToPath(new URL('../support/kill-at-commit.cjs', import.meta.url));
const scratch = await scratchDirectory('failpoints');
const killAt = `${scratch.path}/kill-at`;
const disk = await smallDisk(64 * 1024 * 1024);
const lab = await startLab({
  emulated: true,
  coordinatorData: `${disk.path}/data`,
  coordinatorEnv: { NODE_OPTIONS: `--require ${killer}`, ARCHFARM_TEST_KILL_AT: killAt },
});
const row = rowsOf(lab);
const { gate, farm } = lab;
const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';

const points = [
  'before submitted',
  'after submitted',
  'before offered',
  'after offered',
  'after accepted',
  'before reported',
  'after reported',
  'after verified',
  'before publishing',
  'after publishing',
  'before published',
  'after published',
  'before archived',
  'after archived',
];

/** How the coordinator ends that is started now, perhaps before it serves anybody. */
async function nextEnd(): Promise<string> {
  try {
    await farm.startCoordinator();
  } catch (error) {
    return String(error);
  }
  return farm.coordinator.ended;
}

row(
  'F29: a coordinator that dies at every transition goes on from there, and nothing is built twice',
  async (name) => {
    // One build that meets all deaths; with --full also one for each.
    const series = isFull ? [points, ...points.map((point) => [point])] : [points];
    for (const [index, [first = '', ...others]] of series.entries()) {
      const order = await lab.order(`${name}-${index}`);
      await writeFile(killAt, first);
      await using build = lab.start(order);
      assert.match(await farm.coordinator.ended, 'signal SIGKILL', first);
      for (const point of others) {
        await writeFile(killAt, point);
        assert.match(await nextEnd(), 'signal SIGKILL', point);
      }
      await farm.startCoordinator();
      const { status, stderr, result } = await build.ended();
      assert.is(status, 0, `${first}: ${stderr}`);
      assert.is(result.status, 'succeeded', first);
      assert.is(gate.runs(order.nonce), 1, `${first}: the step ran again`);
    }
  },
);

row('F30: a coordinator that is killed at any time keeps each build, and steps go on', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  await gate.arrived(order.nonce, 'arm64');
  for (let time = 0; time < 3; time += 1) {
    await sleep(Math.random() * 700);
    await farm.killCoordinator();
    await farm.startCoordinator();
  }
  gate.open(order.nonce);
  const { status, stderr, result, frames } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(gate.runs(order.nonce), 2, 'a step ran again');
  for (const platform of order.platforms) assert.is(platformOf(result, platform).attempts.length, 1);
  assert.equal(
    frames.map(({ seq }) => seq),
    frames.map((_, index) => index + 1),
  );
});

row('F31: where the answer to the tag’s PUT is lost, the same list is put again', async (name) => {
  let lost = 0;
  lab.disturb((request) => {
    const isTag = request.method === 'PUT' && request.url === `/v2/${name}/manifests/latest`;
    if (!isTag || lost > 0) return false;
    lost += 1;
    return (answer, response) => {
      answer.resume();
      response.destroy();
    };
  });
  const order = await lab.order(name);
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(lost, 1);
});

row('F32: on a full disk nothing new is taken, and what runs is kept until there is room', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const filler = `${disk.path}/filler`;
  await writeFile(filler, Buffer.alloc(64 * 1024 * 1024)).catch(() => undefined);
  const refused = await archfarm(
    ['build', '-t', `${lab.host}/${name}-new`, '--platform', amd64, (await lab.order(`${name}-new`)).path],
    farm,
  );
  assert.is(refused.status, 3, refused.stderr);
  assert.match(refused.stderr, /disk|space/i);
  gate.open(order.nonce);
  await sleep(1_500);
  await rm(filler);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(gate.runs(order.nonce), 1);
  assert.is(await integrity(lab.data), 'ok');
});

row('F33: what was told to a client is in any copy of the disk that was taken later', async (name) => {
  let copies = 0;
  for (let time = 0; time < 3; time += 1) {
    const order = await lab.order(`${name}-${time}`);
    await using build = lab.start(order);
    const id = await build.id();
    const progress = { over: false };
    const ended = build.ended().finally(() => (progress.over = true));
    while (!progress.over) {
      const copy = `${scratch.path}/copy`;
      await rm(copy, { recursive: true, force: true });
      await mkdir(copy);
      // The log first, as a file that is older than what it refers to is what a power cut leaves.
      for (const file of (await readdir(lab.data))
        .filter((each) => /^archfarm\.db(-wal)?$/.test(each))
        .toSorted()) {
        await copyFile(`${lab.data}/${file}`, `${copy}/${file}`);
      }
      assert.is(await integrity(copy), 'ok');
      const stored = await readStore(copy);
      assert.ok(
        stored.some((known) => known.id === id),
        'an accepted build is not in the copy',
      );
      copies += 1;
      await sleep(Math.random() * 100);
    }
    const { status, stderr } = await ended;
    assert.is(status, 0, stderr);
  }
  assert.ok(copies > 10, `only ${copies} copies`);
});

row('F34: a coordinator that stood still does not take that for the silence of its agents', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  await gate.arrived(order.nonce, 'arm64');
  farm.coordinator.kill('SIGSTOP');
  await sleep(6_000);
  farm.coordinator.kill('SIGCONT');
  await until(async () => (await fetch(`http://${farm.address}/v1/agents`)).ok);
  // Past everything that a lease could have run out by.
  await sleep(1_500);
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  for (const platform of order.platforms) assert.is(platformOf(result, platform).attempts.length, 1);
  assert.is(gate.runs(order.nonce), 2);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

test.run();

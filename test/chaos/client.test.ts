/** Clients that go away, that ask for the same tag at once, that cancel at the last moment. And a platform that fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { archfarm } from '../support/archfarm-command.ts';
import { framesOf } from '../support/build-command.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const lab = await startLab({ emulated: true });
const row = rowsOf(lab);
const { gate, farm } = lab;
const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';

row('F37: a build goes on without its client, and attach takes it up again', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  await gate.arrived(order.nonce, 'arm64');
  const id = await build.id();
  build.kill('SIGKILL');
  const attached = archfarm(['attach', '--progress', 'rawjson', id], farm);
  await until(() => gate.runs(order.nonce) === 2);
  gate.open(order.nonce);
  const { status, stderr } = await attached;
  assert.is(status, 0, stderr);
  const numbers = framesOf(stderr).map(({ seq }) => seq);
  assert.equal(
    numbers,
    numbers.map((_, index) => index + 1),
  );
  assert.is(gate.runs(order.nonce), 2, 'a step ran again');
});

row('F38: of many builds for one tag at once, the tag is the last one’s', async (name) => {
  const orders = await Promise.all(Array.from({ length: isFull ? 50 : 8 }, () => lab.order(name)));
  const builds = orders.map((order) => lab.start(order, ['--wait-agent', '10m']));
  try {
    for (const build of builds) {
      const { status, stderr, result } = await build.ended();
      assert.is(status, 0, stderr);
      assert.ok(['succeeded', 'superseded'].includes(result.status), result.status);
    }
  } finally {
    for (const build of builds) await build[Symbol.asyncDispose]();
  }
});

row('F39: an older build that ends last leaves the tag to the newer one', async (name) => {
  const older = await lab.order(name, { hold: true });
  await using slow = lab.start(older);
  await gate.arrived(older.nonce);
  const newer = await lab.order(name);
  await using quick = lab.start(newer);
  const first = await quick.ended();
  assert.is(first.status, 0, first.stderr);
  gate.open(older.nonce);
  const last = await slow.ended();
  assert.is(last.status, 0, last.stderr);
  assert.is(last.result.status, 'superseded');
});

row('F40: a cancel that comes as the build ends is one or the other', async (name) => {
  for (let time = 0; time < (isFull ? 17 : 4); time += 1) {
    const order = await lab.order(`${name}-${time}`, { hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce);
    const id = await build.id();
    gate.open(order.nonce);
    await sleep(Math.random() * 800);
    await fetch(`http://${farm.address}/v1/builds/${id}/cancel`, { method: 'POST' });
    const { status, stderr, result } = await build.ended();
    const expected = result.status === 'succeeded' ? 0 : 130;
    assert.is(status, expected, stderr);
    assert.ok(['succeeded', 'cancelled'].includes(result.status), result.status);
    await until(async () => (await lab.running(order)) === 0, { timeout: 5_000, what: 'the step is gone' });
  }
});

row('F49: where one platform fails, no tag moves, and both have their output in the log', async (name) => {
  const order = await lab.order(name, {
    platforms: [amd64, arm64],
    steps: ['echo built for $TARGETARCH; [ $TARGETARCH = amd64 ]'],
  });
  await using build = lab.start(order);
  const { status, stderr, frames } = await build.ended();
  assert.is(status, 1, stderr);
  for (const text of ['built for amd64', 'built for arm64']) {
    assert.ok(
      frames.some((frame) => frame.type === 'log' && frame.text.includes(text)),
      text,
    );
  }
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

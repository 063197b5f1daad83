/** Networks between agents and their coordinator: cut, silent, deaf in one direction, lossy, slow, in pieces. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf, type EndedBuild } from '../support/build-command.ts';
import { agentOf, attemptsOf } from '../support/chaos-builds.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { dropPackets, portOf, resetPackets, type Direction } from '../support/packets.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const lab = await startLab({ emulated: true });
const row = rowsOf(lab);
const { gate } = lab;
const links = ['a', 'b'].map((name) => lab.agent(name).link);

/** Nobody else had a part in it, and its step ran once. */
function assertUndisturbed({ status, stderr, result }: EndedBuild, nonce: string): void {
  assert.is(status, 0, stderr);
  for (const { platform, attempts } of result.platforms) assert.is(attempts.length, 1, platform);
  assert.is(gate.runs(nonce), result.platforms.length);
}

row('F20: a connection that ends or is reset is made again, and the build goes on', async (name) => {
  for (const how of ['cut', 'reset'] as const) {
    const order = await lab.order(`${name}-${how}`, { platforms: [amd64, arm64], hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce, 'amd64');
    await gate.arrived(order.nonce, 'arm64');
    const agent = await agentOf(build, amd64);
    if (how === 'cut') {
      for (const link of links) link.cut();
    } else {
      await using _refused = await resetPackets({ port: portOf(lab.agent(agent).link) });
      await sleep(500);
    }
    gate.open(order.nonce);
    assertUndisturbed(await build.ended(), order.nonce);
  }
});

row('F21: a short silence is nothing, and a long one gives the work to another', async (name) => {
  const short = await lab.order(`${name}-short`, { hold: true });
  await using kept = lab.start(short);
  await gate.arrived(short.nonce);
  {
    await using _silence = await dropPackets({ port: portOf(lab.agent(await agentOf(kept, amd64)).link) });
    await sleep(1_500);
  }
  gate.open(short.nonce);
  assertUndisturbed(await kept.ended(), short.nonce);

  const long = await lab.order(`${name}-long`, { hold: true });
  await using moved = lab.start(long);
  await gate.arrived(long.nonce);
  const victim = await agentOf(moved, amd64);
  await using silence = await dropPackets({ port: portOf(lab.agent(victim).link) });
  await gate.arrived(long.nonce, 'amd64', 2);
  await silence.lift();
  gate.open(long.nonce);
  const { status, stderr, result } = await moved.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).attempts.length, 2);
});

for (const direction of ['to', 'from'] as const satisfies readonly Direction[]) {
  row(`F22${direction}: a network that carries one direction alone is as good as none`, async (name) => {
    const order = await lab.order(name, { hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce);
    const victim = await agentOf(build, amd64);
    await using deaf = await dropPackets({ port: portOf(lab.agent(victim).link), direction });
    await gate.arrived(order.nonce, 'amd64', 2);
    gate.open(order.nonce);
    // Lifted only now: who was cut off and comes back may be the first after all.
    const { status, stderr, result } = await build.ended();
    await deaf.lift();
    assert.is(status, 0, stderr);
    assert.is(attemptsOf(result, amd64)[0], `${victim} lost`);
  });
}

row('F23: lost packets cost time and nothing else', async (name) => {
  for (const share of [0.05, 0.2]) {
    await using _one = await dropPackets({ port: portOf(lab.agent('a').link), share });
    await using _other = await dropPackets({ port: portOf(lab.agent('b').link), share });
    const order = await lab.order(`${name}-${share}`, { padding: 200_000 });
    await using build = lab.start(order);
    const { status, stderr } = await build.ended();
    assert.is(status, 0, stderr);
  }
});

row('F24: behind a large context on a slow and shaky link, nobody is taken for lost', async (name) => {
  for (const link of links) Object.assign(link, { rate: 5_000_000 / 8, jitter: 30 });
  try {
    const order = await lab.order(name, { padding: 4 * 1024 * 1024 });
    await using build = lab.start(order);
    assertUndisturbed(await build.ended(), order.nonce);
  } finally {
    for (const link of links) Object.assign(link, { rate: Infinity, jitter: 0 });
  }
});

row('F25: a stream that comes in pieces of 1 to 7 bytes says the same', async (name) => {
  for (const link of links) link.pieces = 7;
  try {
    const order = await lab.order(name, { platforms: [amd64, arm64], padding: 20_000 });
    await using build = lab.start(order);
    assertUndisturbed(await build.ended(), order.nonce);
  } finally {
    for (const link of links) link.pieces = Infinity;
  }
});

row('F26: a link that breaks again and again costs at most what a task may try', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  for (let break_ = 0; break_ < 12; break_ += 1) {
    for (const link of links) link.cut();
    await sleep(700);
  }
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  for (const { attempts } of result.platforms) assert.ok(attempts.length <= 3);
});

row('F27: a transfer that breaks at any byte goes on, and no step sees a part of it', async (name) => {
  const size = 3 * 1024 * 1024;
  const order = await lab.order(name, { padding: size });
  for (const link of links) link.rate = 3 * 1024 * 1024;
  await using build = lab.start(order);
  const { link } = lab.agent(await agentOf(build, amd64));
  let cuts = 0;
  const ended = build.ended().finally(() => (cuts = -cuts));
  while (cuts >= 0 && cuts < 20) {
    const at = link.sent + link.received + 1 + Math.floor(Math.random() * (size / 10));
    link.cutAfter(at - link.sent - link.received);
    cuts += 1;
    await Promise.race([
      ended,
      until(() => link.sent + link.received >= at, { timeout: 60_000, what: 'a cut' }),
    ]);
  }
  for (const each of links) each.rate = Infinity;
  const { status, stderr } = await ended;
  assert.is(status, 0, stderr);
  assert.ok(Math.abs(cuts) >= 8, `the transfer was over after ${Math.abs(cuts)} cuts`);
  assert.is(gate.runs(order.nonce), 1);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

/** Agents that die, freeze, or are told to stop, while another is there. */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf } from '../support/build-command.ts';
import { agentOf, agentState, attemptsOf, other } from '../support/chaos-builds.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { outOfMemory } from '../support/memory-limit.ts';
import { dropPackets, portOf, type PacketRule } from '../support/packets.ts';
import { stepProcesses } from '../support/step-processes.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const lab = await startLab({ emulated: true });
const row = rowsOf(lab);
const { gate } = lab;
const patience = { timeout: 60_000 };

/** As its service manager does, when it has ended. */
async function comesBack(name: string): Promise<void> {
  await lab.agent(name).service.restart();
}

row(
  'F1: an agent that dies while it gets its context has given nothing of it to its engine',
  async (name) => {
    for (const share of [0.3, 0.6, 0.99]) {
      const size = 2 * 1024 * 1024;
      const order = await lab.order(`${name}-${share}`, { padding: size });
      for (const agent of ['a', 'b']) lab.agent(agent).link.rate = size;
      await using build = lab.start(order);
      const victim = await agentOf(build, amd64);
      const { link, service } = lab.agent(victim);
      await link.passed(link.sent + link.received + share * size);
      service.kill('SIGKILL');
      await service.ended;
      for (const agent of ['a', 'b']) lab.agent(agent).link.rate = Infinity;
      // Restarted at once it is known to have lost its work; away for long it is taken to have.
      if (share > 0.5) await comesBack(victim);
      const { status, stderr } = await build.ended();
      assert.is(status, 0, stderr);
      assert.is(gate.runs(order.nonce), 1, 'the step ran without its whole context');
      if (share < 0.5) await comesBack(victim);
    }
  },
);

row('F2: an agent that is killed in the middle of a step loses its work to another', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  await gate.arrived(order.nonce, 'arm64');
  const victim = await agentOf(build, amd64);
  lab.agent(victim).service.kill('SIGKILL');
  await gate.arrived(order.nonce, 'amd64', 2);
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).agent, other(victim));
  assert.is(attemptsOf(result, amd64)[0], `${victim} lost`);
  await comesBack(victim);
  const isGone = async (): Promise<boolean> =>
    (await stepProcesses(lab.agent(victim).engine, order.nonce)).length === 0;
  await until(isGone, { ...patience, every: 100, what: 'the step of the killed agent ends' });
});

row('F3: an agent that is killed in the middle of a push leaves the final tag alone', async (name) => {
  const order = await lab.order(name, { padding: 1024 * 1024 });
  let caught: (() => void) | undefined;
  const pushing = new Promise<void>((resolve) => (caught = resolve));
  const stuck: Socket[] = [];
  lab.disturb((request) => {
    const isUpload = request.method === 'PATCH' && request.url?.includes(`/${name}-amd64/blobs/`) === true;
    if (!isUpload) return false;
    // Nobody reads on: the engine is stuck in the middle of a layer.
    stuck.push(request.socket);
    caught?.();
    return true;
  });
  await using build = lab.start(order);
  await pushing;
  const victim = await agentOf(build, amd64);
  lab.agent(victim).service.kill('SIGKILL');
  await lab.agent(victim).service.ended;
  assert.not.ok(lab.journal.puts.some((put) => put.repository === name));
  lab.calm();
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.equal(attemptsOf(result, amd64), [`${victim} lost`, `${other(victim)} pushed`]);
  // An engine uploads five layers at once and no more: later pushes would wait for these.
  for (const socket of stuck) socket.destroy();
  await comesBack(victim);
});

row('F4: an agent that dies between its push and the word of it tells it when it is back', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  const { link, service } = lab.agent(victim);
  const rival = lab.agent(other(victim)).service;
  let cut: PacketRule | undefined;
  lab.disturb(async (request) => {
    const isPushed = request.method === 'PUT' && request.url?.includes(`/${name}-amd64/manifests/`);
    // Not before: what a push needs of its coordinator is asked for as it begins.
    if (isPushed === true) cut ??= await dropPackets({ port: portOf(link) });
    return false;
  });
  // Whoever is silent gets no work: the journal alone can end this build.
  rival.kill('SIGSTOP');
  try {
    gate.open(order.nonce);
    const journal = `${lab.farm.dir}/${victim}/journal.ndjson`;
    const isWritten = async (): Promise<boolean> =>
      (await readFile(journal, 'utf8')).includes(`"attempt":"${await build.id()}`);
    await until(isWritten, { ...patience, what: 'the report is in the journal' });
    service.kill('SIGKILL');
    await service.ended;
    await cut?.lift();
    await comesBack(victim);
    const { status, stderr } = await build.ended();
    assert.is(status, 0, stderr);
    assert.is(gate.runs(order.nonce), 1, 'it was built twice');
  } finally {
    rival.kill('SIGCONT');
    await cut?.lift();
  }
});

row('F5a: an agent that stands still for a moment keeps its work', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const { service } = lab.agent(await agentOf(build, amd64));
  service.kill('SIGSTOP');
  await sleep(2_000);
  service.kill('SIGCONT');
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).attempts.length, 1);
});

row(
  'F5b: of an agent that stood still for too long, the late result is not published a second time',
  async (name) => {
    const order = await lab.order(name, { hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce);
    const victim = await agentOf(build, amd64);
    lab.agent(victim).service.kill('SIGSTOP');
    await gate.arrived(order.nonce, 'amd64', 2);
    lab.agent(victim).service.kill('SIGCONT');
    gate.open(order.nonce);
    const { status, stderr, result } = await build.ended();
    assert.is(status, 0, stderr);
    assert.is(platformOf(result, amd64).attempts.length, 2);
    assert.is(lab.journal.puts.filter((put) => put.repository === name && put.name === 'latest').length, 1);
  },
);

row('F6: SIGTERM lets an agent finish, and a second one cancels', async (name) => {
  const first = await lab.order(`${name}-once`, { hold: true });
  await using finished = lab.start(first);
  await gate.arrived(first.nonce);
  const once = await agentOf(finished, amd64);
  lab.agent(once).service.kill('SIGTERM');
  await until(async () => (await agentState(lab, once)) === 'draining', patience);
  const second = await lab.order(`${name}-twice`, { hold: true });
  await using moved = lab.start(second);
  await gate.arrived(second.nonce);
  assert.is(await agentOf(moved, amd64), other(once), 'a draining agent got work');
  gate.open(first.nonce);
  const kept = await finished.ended();
  assert.is(kept.status, 0, kept.stderr);
  assert.equal(attemptsOf(kept.result, amd64), [`${once} pushed`]);
  assert.is(await lab.agent(once).service.ended, 'exit code 0');
  await comesBack(once);

  const twice = other(once);
  lab.agent(twice).service.kill('SIGTERM');
  await until(async () => (await agentState(lab, twice)) === 'draining', patience);
  lab.agent(twice).service.kill('SIGTERM');
  assert.is(await lab.agent(twice).service.ended, 'exit code 0');
  await gate.arrived(second.nonce, 'amd64', 2);
  gate.open(second.nonce);
  const { status, stderr, result } = await moved.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).agent, once);
  await comesBack(twice);
});

row('F7: an agent that the kernel ends for want of memory is as one that was killed', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  await outOfMemory(lab.agent(victim).service.pid);
  assert.is(await lab.agent(victim).service.ended, 'signal SIGKILL');
  await comesBack(victim);
  await gate.arrived(order.nonce, 'amd64', 2);
  gate.open(order.nonce);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

/** Wall clocks that are set, of the coordinator and of its agents: nothing that is waited for may come sooner or later. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { platformOf } from '../support/build-command.ts';
import { agentState } from '../support/chaos-builds.ts';
import { amd64, startLab } from '../support/chaos-lab.ts';
import { settableClock } from '../support/settable-clock.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const scratch = await scratchDirectory('clocks');
const coordinatorClock = await settableClock(`${scratch.path}/coordinator`);
const agentClock = await settableClock(`${scratch.path}/agent`);
const lab = await startLab({
  agents: ['a'],
  coordinatorEnv: coordinatorClock.env,
  agentEnv: agentClock.env,
});
const row = rowsOf(lab);
const { gate, farm } = lab;
const hour = 3_600;
const day = 24 * hour;

/** What the coordinator tells anybody; in seconds ahead of the truth. */
async function shownAhead(): Promise<number> {
  const answer = await fetch(`http://${farm.address}/healthz`);
  await answer.body?.cancel();
  return Math.round((Date.parse(answer.headers.get('date') ?? '') - Date.now()) / 1000);
}

async function setCoordinator(ahead: number): Promise<void> {
  await coordinatorClock.set(ahead);
  await until(async () => Math.abs((await shownAhead()) - ahead) < 60, { what: 'the clock is set' });
}

row('F35: a clock that is set moves no lease, and a coordinator with a new clock goes on', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  for (const ahead of [hour, -hour, day, -day]) {
    await setCoordinator(ahead);
    // Time for a look at all that could have run out.
    await sleep(500);
    assert.is(await agentState(lab, 'a'), 'ready', `${ahead} s`);
  }
  await agentClock.set(-10 * 60);
  await setCoordinator(day);
  // What it has stored by now lies in the future of the one that comes next.
  const second = await lab.order(`${name}-second`, { hold: true });
  await using later = lab.start(second);
  await gate.arrived(second.nonce);
  await farm.killCoordinator();
  await coordinatorClock.set(-day);
  await farm.startCoordinator();
  for (const [each, { nonce }] of [
    [build, order],
    [later, second],
  ] as const) {
    gate.open(nonce);
    const { status, stderr, result } = await each.ended();
    assert.is(status, 0, stderr);
    const { attempts } = platformOf(result, amd64);
    assert.is(attempts.length, 1, JSON.stringify(attempts));
    assert.is(gate.runs(nonce), 1, 'the step ran again');
  }
  await setCoordinator(0);
  await agentClock.set(0);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

test.run();

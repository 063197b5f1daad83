/** Five rows at the speed of production, with --full; how long the promises are by the timers, always. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultTimers } from '../../shared/timers.ts';
import { platformOf } from '../support/build-command.ts';
import { agentOf, other } from '../support/chaos-builds.ts';
import { amd64, startLab, type Lab } from '../support/chaos-lab.ts';
import { dropPackets, portOf } from '../support/packets.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

test('the timers make true what is promised', () => {
  const { lost, tick, cutOff, grace, heartbeat } = defaultTimers;
  assert.ok(lost + tick <= 46_000, 'work of an agent that is gone moves within 46 s');
  assert.is(cutOff, 15 * 60_000, 'an agent that is cut off goes on for 15 minutes');
  assert.ok(grace > lost && lost > 4 * heartbeat, 'one lost beat is nothing');
});

interface Moved {
  readonly lab: Lab;
  readonly name: string;
  /** Milliseconds from the fault until another agent has the task. */
  readonly within: number;
  readonly fault: (victim: string) => Promise<() => Promise<void>>;
}

/** A fault in the middle of a step; its work is elsewhere in time, and the farm is whole afterwards. */
async function moves({ lab, name, within, fault }: Moved): Promise<void> {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await lab.gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  const from = performance.now();
  const mend = await fault(victim);
  const isElsewhere = (): boolean =>
    build
      .frames()
      .some((frame) => frame.type === 'state' && frame.state === 'running' && frame.agent === other(victim));
  await until(isElsewhere, { timeout: 90_000, what: 'another agent has it' });
  const took = performance.now() - from;
  console.log(`${name}: another agent had it after ${(took / 1000).toFixed(1)} s`);
  await lab.gate.arrived(order.nonce, 'amd64', 2);
  await mend();
  lab.gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).attempts.length, 2);
  // Two for a busy machine.
  assert.ok(took < within + 2_000, `it took ${Math.round(took)} ms`);
}

if (process.env['ARCHFARM_TEST_FULL'] === '1') {
  const lab = await startLab({ timers: 1 });
  const started = performance.now();
  const row = rowsOf(lab, { once: true });
  const { gate } = lab;

  row('F12: an engine that is killed, at full speed', (name) =>
    moves({
      lab,
      name,
      within: 2_000,
      async fault(victim) {
        await lab.agent(victim).engine.kill('SIGKILL');
        return () => lab.agent(victim).engine.restart();
      },
    }),
  );

  /** Milliseconds that somebody stands still, which moves nothing. */
  const still = (id: 'F5a' | 'F34', pause: number): void =>
    row(`${id}: standing still for ${pause / 1000} s at full speed moves nothing`, async (name) => {
      const order = await lab.order(name, { hold: true });
      await using build = lab.start(order);
      await gate.arrived(order.nonce);
      const victim = lab.agent(await agentOf(build, amd64)).service;
      const process = id === 'F34' ? lab.farm.coordinator : victim;
      process.kill('SIGSTOP');
      await sleep(pause);
      process.kill('SIGCONT');
      gate.open(order.nonce);
      const { status, stderr, result } = await build.ended();
      assert.is(status, 0, stderr);
      assert.is(platformOf(result, amd64).attempts.length, 1);
    });

  still('F5a', 20_000);

  test('the grace after the start of a coordinator is over', async () => {
    await sleep(Math.max(0, started + defaultTimers.grace - performance.now()));
  });

  row('F2: killed at full speed', (name) =>
    moves({
      lab,
      name,
      within: 46_000,
      async fault(victim) {
        lab.agent(victim).service.kill('SIGKILL');
        return () => lab.agent(victim).service.restart();
      },
    }),
  );

  row('F21: a long silence at full speed', (name) =>
    moves({
      lab,
      name,
      within: 46_000,
      async fault(victim) {
        const silence = await dropPackets({ port: portOf(lab.agent(victim).link) });
        return () => silence.lift();
      },
    }),
  );

  // Last: after it there is a grace again.
  still('F34', 60_000);

  test('gives everything back', async () => {
    await lab[Symbol.asyncDispose]();
  });
}

test.run();

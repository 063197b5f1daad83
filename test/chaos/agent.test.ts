/** Agents that die while another is there. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf } from '../support/build-command.ts';
import { agentOf, attemptsOf, other } from '../support/chaos-builds.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { stepProcesses } from '../support/step-processes.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const lab = await startLab();
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
  await until(isGone, { ...patience, what: 'the step of the killed agent ends' });
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

/** Two faults at once: each of them alone is in one of the other files. With --full every pair, else as few as have each fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';
import { isWhole, randomFaults, type RandomFault } from './random-faults.ts';
import { rowsOf } from './row.ts';

const lab = await startLab({ emulated: true });
const row = rowsOf(lab, { once: true });
const { gate } = lab;
const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';
const seed = Number(process.env['ARCHFARM_TEST_SEED'] ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
const random = new Random(seed);
const agents = ['a', 'b'];

const kinds = [
  'an agent is killed',
  'the registry fails',
  'the coordinator is killed',
  'a link is silent',
  'an engine is killed',
  'the coordinator stands still',
  'answers of the registry are lost',
] as const satisfies readonly (keyof typeof randomFaults)[];

for (const [index, one] of kinds.entries()) {
  for (const other of kinds.slice(index + 1)) {
    const distance = kinds.indexOf(other) - index;
    const isChosen = distance === 1 ? index % 2 === 0 : distance === kinds.length - 1;
    if (isChosen || isFull) row(`pair${index}${index + distance}: ${one} while ${other}`, both(one, other));
  }
}

function both(...names: readonly (keyof typeof randomFaults)[]): (repository: string) => Promise<void> {
  return async (repository) => {
    const order = await lab.order(repository, { platforms: [amd64, arm64], hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce, 'amd64');
    await gate.arrived(order.nonce, 'arm64');
    const setting = { lab, agents, random, most: 6_000 };
    const faults = names.map((name): RandomFault => randomFaults[name]).map((fault) => fault(setting));
    await sleep(random.between(0, 1_500));
    gate.open(order.nonce);
    await Promise.all(faults);
    const { status, stderr } = await build.ended();
    assert.is(status, 0, stderr);
    await until(() => isWhole(lab, agents), { timeout: 60_000, what: 'all agents are ready' });
  };
}

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

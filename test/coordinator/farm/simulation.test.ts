import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FarmSimulation } from '../../support/farm-simulation.ts';

const builds = 500;

for (const seed of [1, 2, 3, 4, 5]) {
  test(`keeps its promises through ${builds} builds among faults of every kind, seed ${seed}`, () => {
    const { faults, statuses } = new FarmSimulation(seed, builds).run();
    // A simulation in which nothing succeeds, or nothing fails, would show nothing.
    assert.ok(faults > 200, `${faults} faults`);
    assert.ok((statuses['succeeded'] ?? 0) > builds / 4, JSON.stringify(statuses));
    assert.ok((statuses['failed'] ?? 0) > 0 && (statuses['cancelled'] ?? 0) > 0, JSON.stringify(statuses));
    assert.ok((statuses['superseded'] ?? 0) > 0, JSON.stringify(statuses));
  });
}

test.run();

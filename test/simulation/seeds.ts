/** The seeds of one of four test files, which run side by side: five of twenty, or 25 of a hundred. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runSeed } from './run-seed.ts';

const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';
const builds = 1000;

export function testSeeds(part: 0 | 1 | 2 | 3): void {
  const count = isFull ? 25 : 5;
  for (let seed = part * count + 1; seed <= (part + 1) * count; seed += 1) {
    test(`keeps its promises through ${builds} builds among faults of every kind, seed ${seed}`, () => {
      const { faults, statuses } = runSeed({ seed, builds });
      const total = Object.values(faults).reduce((sum, number) => sum + number, 0);
      // A simulation in which nothing succeeds, or nothing fails, would show nothing.
      assert.ok(total >= 5 * builds, `${total} faults`);
      assert.ok((statuses['succeeded'] ?? 0) > builds / 4, JSON.stringify(statuses));
      for (const status of ['failed', 'cancelled', 'superseded'])
        assert.ok((statuses[status] ?? 0) > 0, JSON.stringify(statuses));
    });
  }
}

/**
 * Runs seeds of the simulation and says what was seen; the first violation ends it with exit code 1.
 *
 *     node --import tsx test/simulation/run.ts [--seeds FIRST-LAST] [--builds N] [--trace]
 */
import { parseArgs } from 'node:util';
import { runSeed } from './run-seed.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1-20' },
    builds: { type: 'string', default: '1000' },
    /** Every fault and every stored event, with its time in seconds. */
    trace: { type: 'boolean', default: false },
  },
});

const [first = 1, last = first] = values.seeds.split('-').map(Number);
const builds = Number(values.builds);
const trace = values.trace ? (line: string): void => console.log(line) : undefined;
let faults = 0;
let checks = 0;
try {
  for (let seed = first; seed <= last; seed += 1) {
    const started = performance.now();
    const outcome = runSeed({ seed, builds, trace });
    const count = Object.values(outcome.faults).reduce((sum, number) => sum + number, 0);
    faults += count;
    checks += outcome.checks;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`seed ${seed}: ${JSON.stringify(outcome.statuses)}, ${count} faults, ${seconds} s`);
    if (first === last) console.log(outcome.faults);
  }
  const total = builds * (last - first + 1);
  console.log(`${total} builds, ${faults} faults, ${checks} checks, 0 violations`);
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : thrown);
  process.exitCode = 1;
}

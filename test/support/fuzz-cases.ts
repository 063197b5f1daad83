/** How many random cases a test runs through, and from which seed: `ARCHFARM_FUZZ_SEED` repeats one. */
import { randomBytes } from 'node:crypto';
import { Random } from './random.ts';

export interface FuzzCases {
  readonly count: number;
  readonly random: Random;
}

/** A hundredth of `full` without `--full`. Prints the seed. */
export function fuzzCases(full: number): FuzzCases {
  const seed = Number(process.env['ARCHFARM_FUZZ_SEED'] ?? randomBytes(4).readUInt32BE());
  const count = process.env['ARCHFARM_TEST_FULL'] === '1' ? full : full / 100;
  console.log(`seed ${seed}, ${count} cases`);
  return { count, random: new Random(seed) };
}

/** One seed; a failure says how to see it again. */
import { Simulation } from './simulation.ts';
import type { Outcome, SimulationOptions } from './simulation.ts';

export function runSeed(options: SimulationOptions): Outcome {
  try {
    return new Simulation(options).run();
  } catch (thrown) {
    const { seed, builds } = options;
    const again = `node --import tsx test/simulation/run.ts --seeds ${seed} --builds ${builds} --trace`;
    const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    throw new Error(`seed ${seed}: ${what}\nTo see it again: ${again}`, { cause: thrown });
  }
}

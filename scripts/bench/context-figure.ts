/** One case of one kind: times of both builders, and what archfarm sent and used of the processors. */
import type { ContextBuilder, FarmFacts } from './context-builders.ts';
import { median, spread } from './figures.ts';

interface Measured {
  readonly milliseconds: number;
  readonly facts: FarmFacts | undefined;
  readonly quiet: boolean;
}

export class ContextFigure {
  readonly #context: string;
  readonly #kind: string;
  readonly #times = { archfarm: [] as number[], engines: [] as number[] };
  #facts: FarmFacts | undefined;
  #noisy = 0;

  constructor(context: string, kind: string) {
    this.#context = context;
    this.#kind = kind;
  }

  add(builder: ContextBuilder['name'], { milliseconds, facts, quiet }: Measured): void {
    this.#times[builder].push(milliseconds);
    // Of the last run.
    if (facts !== undefined) this.#facts = facts;
    if (!quiet) this.#noisy++;
  }

  print(): void {
    const { archfarm, engines } = this.#times;
    const [ours, theirs] = [median(archfarm), median(engines)];
    const ratio = (ours / theirs).toFixed(2);
    console.log(
      `${this.#context}, ${this.#kind}: archfarm ${spread(archfarm)}, engines ${spread(engines)}, ratio ${ratio}`,
    );
    console.log(
      JSON.stringify({
        bench: 'context',
        case: this.#context,
        kind: this.#kind,
        runs: archfarm.length,
        archfarm: Math.round(ours),
        engines: Math.round(theirs),
        ratio: Number(ratio),
        contextBytes: this.#facts?.context,
        uplinkBytes: this.#facts?.uplink,
        agentBytes: this.#facts?.agents,
        processorSeconds: this.#facts?.processorTime,
        // Runs that began while something else kept the machine busy.
        noisy: this.#noisy,
      }),
    );
  }
}

/** What all parts of a simulation share: one clock, one source of chance, one count of faults, one trace, one judge. */
import type { Checker } from './checker.ts';
import type { Random } from '../support/random.ts';
import type { SimulatedTime } from './time.ts';

export class World {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly checker: Checker;
  readonly faults: Record<string, number> = {};
  readonly #trace: ((line: string) => void) | undefined;
  /** The last builds end in peace, so that "every build ends" can be asked for. */
  peace = false;

  constructor(
    parts: { readonly time: SimulatedTime; readonly random: Random; readonly checker: Checker },
    trace?: (line: string) => void,
  ) {
    this.time = parts.time;
    this.random = parts.random;
    this.checker = parts.checker;
    this.#trace = trace;
  }

  fault(kind: string, what?: string): void {
    this.faults[kind] = (this.faults[kind] ?? 0) + 1;
    this.trace('fault', () => (what === undefined ? kind : `${kind} ${what}`));
  }

  /** Whether a fault of this probability happens now. */
  strikes(kind: string, probability: number): boolean {
    if (this.peace || !this.random.chance(probability)) return false;
    this.fault(kind);
    return true;
  }

  /** The text is only made where somebody reads it. */
  trace(who: string, what: () => string): void {
    this.#trace?.(`${(this.time.now / 1000).toFixed(3)} ${who}: ${what()}`);
  }
}

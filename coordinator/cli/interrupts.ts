/** Interrupts of a command: the first asks it to end in order, and it may take a second one for itself. */
import { ArchfarmError } from '../../shared/errors.ts';

export class Interrupts {
  readonly #first = new AbortController();
  #second: AbortController | undefined;

  /** Aborts, with a `cancelled` error, at the first one. */
  get signal(): AbortSignal {
    return this.#first.signal;
  }

  /** From now on a second one aborts this. */
  second(): AbortSignal {
    this.#second ??= new AbortController();
    return this.#second.signal;
  }

  /** False when nobody takes it: whoever interrupts once more does not want to wait for the end of anything. */
  take(name: string): boolean {
    const next = [this.#first, this.#second].find((controller) => controller?.signal.aborted === false);
    next?.abort(new ArchfarmError('cancelled', `interrupted (${name})`));
    return next !== undefined;
  }
}

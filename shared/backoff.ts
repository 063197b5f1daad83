/** Pauses before trying again: full jitter, doubling up to a cap. */

export interface BackoffOptions {
  /** Upper bound of the first pause, milliseconds. */
  readonly first: number;
  readonly max: number;
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #tries = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds to wait now. */
  next(): number {
    const { first, max, random = Math.random } = this.#options;
    const ceiling = Math.min(max, first * 2 ** Math.min(this.#tries++, 30));
    return random() * ceiling;
  }

  reset(): void {
    this.#tries = 0;
  }
}

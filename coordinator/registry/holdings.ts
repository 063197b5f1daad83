/** Contents that repositories had lately, so that they are not brought again. Forgotten after a while: registries clear up. */

/** Milliseconds. */
const memory = 600_000;
/** All together; the oldest give way. */
const maxKnown = 20_000;

export class Holdings {
  readonly #now: () => number;
  /** Until when, by repository and digest; the oldest first. */
  readonly #until = new Map<string, number>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** `repository` is its full name. */
  has(repository: string, digest: string): boolean {
    return (this.#until.get(`${repository} ${digest}`) ?? 0) > this.#now();
  }

  note(repository: string, digest: string): void {
    const key = `${repository} ${digest}`;
    this.#until.delete(key);
    this.#until.set(key, this.#now() + memory);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= maxKnown) break;
      this.#until.delete(oldest);
    }
  }

  /** All of a repository. */
  forget(repository: string): void {
    for (const key of this.#until.keys()) {
      if (key.startsWith(`${repository} `)) this.#until.delete(key);
    }
  }
}

/**
 * How fast a peer may talk. Whoever is faster is not read for a while, so that its own sends wait; whoever goes on like
 * that is told so and cut. Output of builds counts by its bytes, everything else by its messages.
 */

export interface PaceLimits {
  /** Messages a second, and at once after a pause. */
  readonly messages: number;
  readonly burst: number;
  /** Bytes a second, and at once after a pause. */
  readonly bytes: number;
  readonly byteBurst: number;
  /** Milliseconds without a moment of rest after which a peer is cut. */
  readonly patience: number;
}

/** Ten times what a busy agent says. */
export const agentPace: PaceLimits = {
  messages: 200,
  burst: 400,
  bytes: 64 * 1024 * 1024,
  byteBurst: 128 * 1024 * 1024,
  patience: 30_000,
};

/** A message is at least this much, in bytes. */
const leastBytes = 8 * 1024;

export interface Spent {
  readonly bytes: number;
  /** Counts by its bytes alone. */
  readonly isOutput: boolean;
}

/** Milliseconds not to be read for, `0` to go on; or that it was too much for too long. */
export type Verdict = number | 'cut';

export class Pace {
  readonly #limits: PaceLimits;
  readonly #messages: Bucket;
  readonly #bytes: Bucket;
  /** Since when it has been beyond its limits, without a rest. */
  #since: number | undefined;

  /** `now` in milliseconds of a steady clock, as everywhere here. */
  constructor(limits: PaceLimits, now: number) {
    this.#limits = limits;
    this.#messages = new Bucket(limits.messages, limits.burst, now);
    this.#bytes = new Bucket(limits.bytes, limits.byteBurst, now);
  }

  spend({ bytes, isOutput }: Spent, now: number): Verdict {
    const rested = this.#messages.fill(now);
    if (this.#bytes.fill(now) && rested) this.#since = undefined;
    if (!isOutput) this.#messages.take(1);
    this.#bytes.take(Math.max(bytes, leastBytes));
    const wait = Math.max(this.#messages.wait(), this.#bytes.wait());
    if (wait === 0) return 0;
    this.#since ??= now;
    return now - this.#since > this.#limits.patience ? 'cut' : wait;
  }
}

class Bucket {
  readonly #perMillisecond: number;
  readonly #burst: number;
  #level: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMillisecond = perSecond / 1000;
    this.#burst = burst;
    this.#level = burst;
    this.#at = now;
  }

  /** Whether it is full. */
  fill(now: number): boolean {
    this.#level = Math.min(this.#burst, this.#level + (now - this.#at) * this.#perMillisecond);
    this.#at = now;
    return this.#level === this.#burst;
  }

  /** Below nothing, too: what has come is not unsaid. */
  take(amount: number): void {
    this.#level -= amount;
  }

  /** Milliseconds until a quarter of the burst is there again, where nothing is left. */
  wait(): number {
    if (this.#level >= 0) return 0;
    return Math.ceil((this.#burst / 4 - this.#level) / this.#perMillisecond);
  }
}

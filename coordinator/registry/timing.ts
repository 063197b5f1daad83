/** Waits and bounds of talking to a registry, in one object so that a test can be quick. Milliseconds. */

export interface RegistryTiming {
  /** Of one request, the first included. */
  readonly tries: number;
  /** Upper bound of the pause before the second try; doubles up to `maxPause`. */
  readonly firstPause: number;
  readonly maxPause: number;
  /** A longer `Retry-After` is cut to this. */
  readonly maxRetryAfter: number;
  readonly connect: number;
  /** Without a byte, in either direction. A registry hashes a large upload before it answers. */
  readonly idle: number;
  /** For a whole answer that is kept in memory (manifest, token, config). */
  readonly answer: number;
  /** Bytes per millisecond: a copy that is slower is broken off. */
  readonly slowest: number;
  /** For a credential helper. */
  readonly helper: number;
}

export const defaultTiming: RegistryTiming = {
  tries: 5,
  firstPause: 500,
  maxPause: 30_000,
  maxRetryAfter: 60_000,
  connect: 10_000,
  idle: 300_000,
  answer: 60_000,
  slowest: 16,
  helper: 10_000,
};

/** Waits for a condition instead of a time. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** Milliseconds; a minute if not given, which a busy machine may need. */
  readonly timeout?: number;
  /** Milliseconds between two looks; 10 if not given. More for those that cost something. */
  readonly every?: number;
  /** Said when the time is over. */
  readonly what?: string;
}

/** Asks again and again until the answer is neither undefined nor false, and returns it. */
export async function until<T>(
  check: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const timeout = options.timeout ?? 60_000;
  const deadline = performance.now() + timeout;
  for (;;) {
    const answer = await check();
    if (isMet(answer)) return answer;
    if (performance.now() > deadline)
      throw new Error(`not within ${timeout} ms: ${options.what ?? check.toString()}`);
    await sleep(options.every ?? 10);
  }
}

function isMet<T>(answer: T): answer is Exclude<T, undefined | false> {
  return answer !== undefined && answer !== false;
}

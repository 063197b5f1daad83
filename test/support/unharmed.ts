/** Whatever somebody says to a process: it stays the same one, serves others meanwhile, and holds no more afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { heldMemory, peak, resetPeak } from './process-memory.ts';
import { until } from './until.ts';

const mebibyte = 1024 * 1024;
/** With all sizes each comes so many times more. */
const scale = process.env['ARCHFARM_TEST_FULL'] === '1' ? 10 : 1;

export interface Subject {
  readonly pid: number;
  /** Where it tells what it holds. */
  readonly memory: string;
  /** Somebody else's business with it. Throws where that comes to nothing. */
  exchange(): Promise<void>;
}

export interface Repetition {
  readonly rounds: number;
  /** Of them, that come before the memory is looked at, for what a process makes once; a tenth if not given. */
  readonly first?: number;
  /** Of them, that are under way together; 8 if not given. */
  readonly atOnce?: number;
  /** Bytes that all of them may leave together; 3 MiB if not given, which none of them would notice of a megabyte's input. */
  readonly left?: number;
  /** Bytes that the process may have beyond what it had before, at any time: 64 MiB if not given. */
  readonly above?: number;
}

/** Milliseconds between two exchanges: whoever talks without a rest is hung up on. */
const pause = 30;

/** Does it that many times, beside the exchanges of a neighbour. */
export async function unharmed(
  subject: Subject,
  {
    rounds: usual,
    first = Math.ceil(usual / 10),
    atOnce = 8,
    left = 3 * mebibyte,
    above = 64 * mebibyte,
  }: Repetition,
  input: (round: number) => Promise<void>,
): Promise<void> {
  const { pid, memory } = subject;
  const rounds = usual * scale;
  await repeat(0, first, atOnce, input);
  await subject.exchange();
  const before = await heldMemory(memory, pid);
  const resident = await resetPeak(pid);

  const over = new AbortController();
  const others = (async () => {
    while (!over.signal.aborted) {
      await subject.exchange();
      await sleep(pause);
    }
  })();
  // Whichever fails first is the one to tell.
  const work = repeat(first, rounds, atOnce, input).finally(() => over.abort());
  await Promise.all([work, others]);
  await subject.exchange();

  const most = (await peak(pid)) - resident;
  assert.ok(most < above, `it took ${Math.round(most / mebibyte)} MiB more meanwhile`);
  // A connection that is being closed holds on to what it read until it has closed.
  let more = 0;
  const isFlat = async (): Promise<boolean> => {
    more = (await heldMemory(memory, pid)) - before;
    return more < left;
  };
  await until(isFlat, { timeout: 15_000, every: 100, what: 'memory is flat' }).catch((cause: unknown) => {
    throw new Error(`it holds ${(more / mebibyte).toFixed(1)} MiB more after ${rounds} rounds`, { cause });
  });
}

/** Rounds from one number to another, some at once. */
async function repeat(
  from: number,
  to: number,
  atOnce: number,
  input: (round: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const lane = async (): Promise<void> => {
    while (next < to) await input(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

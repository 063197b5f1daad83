/** The test of an image that was just built: a command in a container of it, whose success the push waits for. */
import { reasonOf } from '../../shared/abort.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { Mask } from '../../shared/mask/mask.ts';
import type { LogEvent, StepEvent } from '../../shared/progress.ts';
import type { ImageTest } from '../../shared/task.ts';
import { troubleOf, type ContainerRuns } from './container-run.ts';
import { LogLines } from './log-lines.ts';

export interface TestRun {
  readonly imageId: Digest;
  readonly test: ImageTest;
}

export interface TestRunOptions {
  readonly signal: AbortSignal;
  readonly mask: Mask;
  /** Hears of a step called `test` and of its output. */
  readonly onEvent: (event: StepEvent | LogEvent) => void;
  /** It prints something that is no whole line yet. */
  readonly onSign?: (() => void) | undefined;
}

const step = 'test';

/** Throws `test-failed` when the command fails, cannot be started or takes too long; else an infrastructure error. */
export async function runTest(
  runs: ContainerRuns,
  { imageId, test }: TestRun,
  { signal, mask, onEvent, onSign }: TestRunOptions,
): Promise<void> {
  const { command, network, timeout } = test;
  const name = `[test] ${shownCommand(command)}`;
  const startedAt = Date.now();
  const say = (status: StepEvent['status'], error?: string): void => {
    const time = Date.now();
    const duration = status === 'started' ? {} : { duration: time - startedAt };
    onEvent({
      type: 'step',
      time,
      step,
      name,
      status,
      ...duration,
      ...(error === undefined ? {} : { error }),
    });
  };
  const lines = { stdout: new LogLines(mask), stderr: new LogLines(mask) };
  const log = (stream: LogEvent['stream'], texts: readonly string[]): void => {
    for (const text of texts) onEvent({ type: 'log', time: Date.now(), step, stream, text });
  };
  say('started');
  const limit = AbortSignal.timeout(timeout);
  let trouble: string | undefined;
  try {
    const end = await runs.run(
      { imageId, command, network, until: startedAt + timeout },
      {
        signal: AbortSignal.any([signal, limit]),
        onOutput({ stream, bytes }) {
          const texts = lines[stream].push(bytes);
          if (texts.length === 0) onSign?.();
          log(stream, texts);
        },
      },
    );
    trouble = troubleOf(end);
  } catch (error) {
    if (signal.aborted) {
      say('cancelled');
      throw reasonOf(signal);
    }
    if (!limit.aborted) {
      say('failed');
      throw error;
    }
    trouble = `was not over within ${timeout / 1000} s`;
  } finally {
    log('stdout', lines.stdout.end());
    log('stderr', lines.stderr.end());
  }
  if (trouble === undefined) return say('done');
  say('failed', trouble);
  throw new ArchfarmError('test-failed', `the test ${trouble}`, { hint: hintFor(test, trouble) });
}

/** As a person would type it: a text's shell is left out. */
function shownCommand(command: readonly string[]): string {
  const [shell, option, text] = command;
  if (command.length === 3 && shell === '/bin/sh' && option === '-c' && text !== undefined) return text;
  return command.join(' ');
}

function hintFor({ network, command }: ImageTest, trouble: string): string {
  if (trouble.startsWith('was not over')) return 'give it longer with --test-timeout, or make it shorter';
  if (trouble.startsWith('could not be started') && command[0] === '/bin/sh') {
    return 'an image without a shell takes a list in the project file: test: ["/app", "--version"]';
  }
  return network ? 'nothing was pushed' : 'nothing was pushed; a test has a network only with --test-network';
}

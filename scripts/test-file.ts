/** One test file in a process of its own, and every reason not to believe what it says. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { endProcessesMarked, killProcessesMarked, markVariable, thingsOf } from './test-leftovers.ts';

export interface TestFileResult {
  readonly passed: number;
  /** Tests that failed or never ran; at least 1 when there is a fault. */
  readonly failed: number;
  /** Why it failed; empty when all is well. */
  readonly faults: readonly string[];
  /** The last 256 KiB. */
  readonly output: string;
}

export interface TestFileOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly env: NodeJS.ProcessEnv;
  /** Arguments of Node; this process's own if not given. */
  readonly node?: readonly string[];
  /** Ends the file before its time. */
  readonly signal?: AbortSignal;
}

export async function runTestFile(file: string, options: TestFileOptions): Promise<TestFileResult> {
  const mark = randomUUID();
  const child = spawn(process.execPath, [...(options.node ?? process.execArgv), file], {
    // Ctrl-C must not reach it past the signal below.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...options.env, [markVariable]: mark, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  const output = new Tail();
  output.follow(child.stdout);
  output.follow(child.stderr);

  const faults: string[] = [];
  const closed = once(child, 'close');
  const timeout = AbortSignal.timeout(options.timeout);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  const exited = once(child, 'exit', { signal }).catch(async () => {
    faults.push(timeout.aborted ? `still running after ${options.timeout / 1000} s` : 'interrupted');
    const exit = once(child, 'exit');
    await killProcessesMarked(mark);
    return exit;
  });
  const [code]: unknown[] = await exited;

  faults.push(...(await endProcessesMarked(mark)).map((name) => `left behind: ${name}`));
  faults.push(...(await thingsOf(child.pid ?? 0)).map((name) => `left behind: ${name}`));
  // What a lost child still holds open must not hold us.
  await Promise.race([closed, sleep(1000, undefined, { ref: false })]);

  const text = stripVTControlCharacters(output.text);
  const total = sum(text, 'Total');
  const passed = sum(text, 'Passed');
  if (code !== 0 && faults.length === 0) faults.push(`exit code ${String(code)}`);
  if (total === 0) faults.push('no test ran');
  else if (passed !== total) faults.push(`${passed} of ${total} passed`);
  const failed = faults.length === 0 ? 0 : Math.max(1, total - passed);
  return { passed, failed, faults, output: text };
}

/** uvu prints a summary for each run; a file may have several. */
function sum(text: string, word: string): number {
  const lines = text.matchAll(new RegExp(`^ {2}${word}: +(\\d+)$`, 'gm'));
  return [...lines].reduce((all, [, count]) => all + Number(count), 0);
}

class Tail {
  readonly #limit = 256 * 1024;
  text = '';

  follow(stream: Readable): void {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      this.text = (this.text + chunk).slice(-this.#limit);
    });
  }
}

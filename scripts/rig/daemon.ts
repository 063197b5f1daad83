/**
 * A background process of the rig with its output in a file. It leaves the terminal's process group, so that
 * Ctrl-C reaches only the script that owns it, and the kernel ends it when that script dies, even by SIGKILL.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** How it ended: `exit code 1`, `signal SIGKILL`. Pending while it runs. */
  readonly ended: Promise<string>;
  /** The last 64 KiB of its output. */
  output(): Promise<string>;
  /** Sends a signal; nothing happens when the process is gone. */
  kill(signal: NodeJS.Signals): void;
}

export interface DaemonOptions {
  /** File that takes stdout and stderr; appended to. */
  readonly log: string;
  /** File for stdout alone. */
  readonly stdout?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Asked every 20 ms until it says true. */
  readonly ready: () => Promise<boolean>;
  /** Milliseconds to get ready. */
  readonly timeout?: number;
  /** Milliseconds between SIGTERM and SIGKILL at disposal. */
  readonly grace?: number;
}

/** Starts a command and waits until it is ready; throws with the end of its output when it is not. */
export async function startDaemon(command: readonly string[], options: DaemonOptions): Promise<Daemon> {
  const daemon = launch(command, options);
  let ending: string | undefined;
  void daemon.ended.then((how) => (ending = how));
  const deadline = Date.now() + (options.timeout ?? 30_000);
  while (!(await options.ready())) {
    if (ending === undefined && Date.now() < deadline) {
      await sleep(20);
      continue;
    }
    const why = ending ?? `not ready after ${options.timeout ?? 30_000} ms`;
    await daemon[Symbol.asyncDispose]();
    throw new Error(`${command[0]}: ${why}\n${await daemon.output()}`);
  }
  return daemon;
}

function launch(command: readonly string[], options: DaemonOptions): Daemon {
  const log = openSync(options.log, 'a');
  const stdout = options.stdout === undefined ? log : openSync(options.stdout, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], {
    detached: true,
    stdio: ['ignore', stdout, log],
    env: options.env ?? process.env,
  });
  for (const descriptor of new Set([log, stdout])) closeSync(descriptor);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  const kill = (signal: NodeJS.Signals): void => void child.kill(signal);
  return {
    pid: child.pid ?? 0,
    ended,
    output: () => tail(options.log),
    kill,
    async [Symbol.asyncDispose]() {
      kill('SIGTERM');
      // A process that was stopped hears SIGTERM only when it goes on.
      kill('SIGCONT');
      const late = setTimeout(() => kill('SIGKILL'), options.grace ?? 10_000);
      await ended;
      clearTimeout(late);
    },
  };
}

async function tail(path: string): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.min(size, 64 * 1024));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
  return buffer.toString('utf8', 0, bytesRead);
}

/** A background process that tests may kill and start again, with the same command on the same files. */
import { readFile } from 'node:fs/promises';
import { startDaemon, type DaemonOptions } from './daemon.ts';

export interface RunningService extends AsyncDisposable {
  /** Another one after `restart`. */
  readonly pid: number;
  /** How it ended: `exit code 0`, `signal SIGKILL`. Pending while it runs. */
  readonly ended: Promise<string>;
  /** All that it wrote, over all its processes. */
  logs(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** Starts it anew when the one that runs has ended, by itself or by SIGTERM. */
  restart(): Promise<void>;
}

export async function startService(
  command: readonly string[],
  options: DaemonOptions,
): Promise<RunningService> {
  let daemon = await startDaemon(command, options);
  return {
    get pid() {
      return daemon.pid;
    },
    get ended() {
      return daemon.ended;
    },
    logs: () => readFile(options.log, 'utf8'),
    kill: (signal) => daemon.kill(signal),
    async restart() {
      await daemon[Symbol.asyncDispose]();
      daemon = await startDaemon(command, options);
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

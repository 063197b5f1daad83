/** An agent as its own process, of which no farm is needed: a test says what its coordinator and its engine answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const main = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

export interface SpawnedAgent extends AsyncDisposable {
  readonly pid: number;
  /** What it has logged so far. */
  readonly stderr: string;
  /** Undefined while it runs. */
  readonly exitCode: number | undefined;
  kill(signal: NodeJS.Signals): void;
  /** Gives its exit status. */
  ended(): Promise<number>;
}

export interface SpawnedAgentOptions {
  readonly coordinator: URL;
  readonly data: string;
  /** As DOCKER_HOST takes it. */
  readonly engine: string;
}

/** Does not wait for anything. */
export function spawnAgent({ coordinator, data, engine }: SpawnedAgentOptions): SpawnedAgent {
  const flags = ['--coordinator', coordinator.href, '--name', 'pi-01', '--data', data, '--docker', engine];
  const child = spawn(process.execPath, [...process.execArgv, main, 'run', ...flags], {
    env: { PATH: process.env['PATH'], ARCHFARM_LOG_FORMAT: 'json', ARCHFARM_TIMERS: '0.02' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
  const closed = once(child, 'close');
  return {
    pid: child.pid!,
    get stderr() {
      return stderr;
    },
    get exitCode() {
      return child.exitCode ?? undefined;
    },
    kill: (signal) => void child.kill(signal),
    async ended() {
      const status = await until(() => child.exitCode ?? undefined, { what: 'the agent ends' });
      await closed;
      return status;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

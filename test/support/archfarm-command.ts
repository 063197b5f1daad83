/** Runs `archfarm` as a user does: the command that `npm run build` made, in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { archfarmCommand } from '../../scripts/rig/farm.ts';

export interface CommandOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A user id other than that of the tests. */
  readonly user?: number;
  /** What it reads; nothing if not given. */
  readonly input?: Buffer | string;
}

export interface EndedCommand {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Milliseconds. None may run for longer: what it waits for is a fault of somebody. */
const patience = (process.env['ARCHFARM_TEST_FULL'] === '1' ? 20 : 5) * 60_000;

/** Disposing it kills it where it still runs. */
export interface RunningCommand extends AsyncDisposable {
  readonly pid: number;
  /** What it wrote so far. */
  readonly stderr: string;
  /** Rejects, with what it wrote so far, when it has run for too long. */
  readonly ended: Promise<EndedCommand>;
  kill(signal: NodeJS.Signals): void;
}

export function startArchfarm(args: readonly string[], options: CommandOptions): RunningCommand {
  // The kernel ends it should this process be killed.
  const { user, input, ...rest } = options;
  const who = user === undefined ? [] : ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];
  const command = [...who, '--pdeathsig', 'KILL', '--', process.execPath, archfarmCommand, ...args];
  const child = spawn('setpriv', command, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] });
  // It may end before it has read all.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close');
  const late = AbortSignal.timeout(patience);
  const ended = once(child, 'close', { signal: late }).then(
    () => ({ status: child.exitCode, stdout, stderr }),
    (cause: unknown) => {
      throw new Error(`archfarm ${args[0]} runs for ${patience / 1000} s: ${stderr.slice(-4096)}`, { cause });
    },
  );
  // Not everybody waits for it.
  ended.catch(() => {});
  return {
    pid: child.pid ?? 0,
    get stderr() {
      return stderr;
    },
    ended,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await closed;
    },
  };
}

export async function archfarm(args: readonly string[], options: CommandOptions): Promise<EndedCommand> {
  await using command = startArchfarm(args, options);
  return await command.ended;
}

/**
 * The agent process of a server-less build. It is started by path and told over IPC where this process listens,
 * so that neither address nor token is seen in argv or environment; it ends when the channel closes.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { ArchfarmError, fromErrorInfo } from '../../shared/errors.ts';
import { errorInfoSchema } from '../../shared/schemas.ts';

export interface LocalAgentOptions {
  readonly coordinator: URL;
  readonly token: string;
  /** For the agent's journal; removed by whoever made it. */
  readonly data: string;
  /** Contents and records that other runs share. */
  readonly cache: string;
}

const failureSchema = v.strictObject({ error: errorInfoSchema });

/** Milliseconds that an agent has to end by itself. */
const endsWithin = 10_000;

export class LocalAgent {
  readonly #process: ChildProcess;
  /** Rejects with what the agent said, if it ends before it is told to. */
  readonly failed: Promise<never>;

  constructor({ coordinator, token, data, cache }: LocalAgentOptions) {
    const child = fork(
      agentEntry(),
      // The user's own engine: whatever its user asks for.
      ['run', '--data', data, '--cache', cache, '--slots', '16', '--name', 'local', '--allow', 'all'],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        env: {
          ...process.env,
          ARCHFARM_PARENT: 'ipc',
          ARCHFARM_LOG: process.env['ARCHFARM_LOG'] ?? 'silent',
        },
        // Ctrl-C reaches the whole group; what the agent does then is decided here.
        detached: true,
      },
    );
    this.#process = child;
    let said: ArchfarmError | undefined;
    child.on('message', (message: unknown) => {
      const failure = v.safeParse(failureSchema, message);
      if (failure.success) said = fromErrorInfo(failure.output.error);
    });
    this.failed = new Promise<never>((_resolve, reject) => {
      // Also what could not be sent to it: an error without a listener would end this process.
      child.on('error', (cause) => {
        reject(
          new ArchfarmError('internal', `the local agent could not be started: ${cause.message}`, { cause }),
        );
      });
      child.once('exit', (code, signal) => {
        const how = `the local agent ended (${signal ?? `status ${code}`})`;
        const ended = (): void => reject(said ?? new ArchfarmError('agent-lost', how));
        // What it said last may still be on its way.
        if (child.connected) child.once('disconnect', ended);
        else ended();
      });
    });
    // Whoever runs a build waits for it; before and after that its end is nobody's news.
    this.failed.catch(() => {});
    child.send({ ARCHFARM_COORDINATOR: coordinator.href, ARCHFARM_TOKEN: token });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(endsWithin) });
    if (child.connected) child.disconnect();
    await ended.catch(() => child.kill('SIGKILL'));
  }
}

/** The built agent lies beside the built CLI; the sources keep theirs in a folder of its own. */
export function agentEntry(): string {
  const here = import.meta.dirname;
  const candidates = ['archfarm-agent.js', '../archfarm-agent.js', '../../agent/main.ts'].map((path) =>
    join(here, path),
  );
  const entry = candidates.find((path) => existsSync(path));
  if (entry !== undefined) return entry;
  throw new ArchfarmError('internal', `archfarm-agent is not installed beside ${here}`, {
    hint: 'run npm run build',
  });
}

/** A user's ssh agent with one key in it: OpenSSH's own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startDaemon } from '../../scripts/rig/daemon.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';

const run = promisify(execFile);

export interface RunningSshAgent extends AsyncDisposable {
  readonly socket: string;
  /** Of its key, as `ssh-add -l` shows it: `SHA256:…`. */
  readonly fingerprint: string;
}

export async function startSshAgent(comment: string): Promise<RunningSshAgent> {
  await using started = new Resources();
  const { path } = started.use(await scratchDirectory('ssh'));
  const socket = `${path}/agent.sock`;
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  const key = `${path}/key`;
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', key]);
  started.use(
    await startDaemon(['ssh-agent', '-D', '-a', socket], {
      log: `${path}/log`,
      ready: () =>
        run('ssh-add', [key], { env }).then(
          () => true,
          () => false,
        ),
    }),
  );
  const { stdout } = await run('ssh-keygen', ['-l', '-f', key]);
  const resources = started.move();
  return {
    socket,
    fingerprint: /SHA256:\S+/.exec(stdout)?.[0] ?? '',
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

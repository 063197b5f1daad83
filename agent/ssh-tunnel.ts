/** A connection through the coordinator to the ssh agent of the client that asked for the build. */
import type { Duplex } from 'node:stream';
import { createWebSocketStream } from 'ws';
import { reasonOf } from '../shared/abort.ts';
import { dial } from '../shared/dial.ts';
import { messageOf } from '../shared/errors.ts';
import type { AgentConfig } from './config.ts';
import { sshAgentGone } from './engine/ssh-forward.ts';

export interface SshTunnel {
  readonly config: Pick<AgentConfig, 'coordinator' | 'token' | 'trust'>;
  readonly attempt: string;
  /** The id that `--ssh` and `RUN --mount=type=ssh,id=` share. */
  readonly id: string;
}

/** Throws `client-gone` naming the id when no client with that agent follows the build. */
export async function openSshTunnel(tunnel: SshTunnel, signal: AbortSignal): Promise<Duplex> {
  const { config, attempt, id } = tunnel;
  const socket = dial('/v1/agent/ssh', { ...config, trust: config.trust(), query: { attempt, id } });
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      socket.terminate();
      reject(reasonOf(signal));
    };
    const failed = (why: string): void => {
      signal.removeEventListener('abort', aborted);
      reject(sshAgentGone(id, why));
    };
    signal.addEventListener('abort', aborted, { once: true });
    socket.on('error', (error) => failed(messageOf(error)));
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      socket.terminate();
      failed(
        response.statusCode === 404 ? 'no client with it follows the build' : `HTTP ${response.statusCode}`,
      );
    });
    socket.on('open', () => {
      signal.removeEventListener('abort', aborted);
      const stream = createWebSocketStream(socket);
      stream.on('error', () => socket.terminate());
      const ended = (): unknown => stream.destroy();
      signal.addEventListener('abort', ended, { once: true });
      stream.once('close', () => signal.removeEventListener('abort', ended));
      resolve(stream);
    });
  });
}

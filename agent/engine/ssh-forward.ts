/** One connection of a build step to an ssh agent, between BuildKit and a tunnel to whoever has the agent. */
import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import { ArchfarmError } from '../../shared/errors.ts';
import type { GrpcCall } from './grpc.ts';
import { bytesField, writeMessage } from './protobuf.ts';

/** Until the step has closed its side. Throws `client-gone` when the tunnel ends before: the step would wait for ever. */
export async function forwardSsh(call: GrpcCall, agent: Duplex, id: string): Promise<void> {
  let isClosed = false;
  const toAgent = async (): Promise<void> => {
    for await (const message of call.messages) {
      if (agent.destroyed || agent.writableEnded) return;
      if (!agent.write(bytesField(message, 1))) await once(agent, 'drain', { signal: call.signal });
    }
    isClosed = true;
    agent.end();
  };
  const fromAgent = async (): Promise<void> => {
    const chunks: AsyncIterable<Buffer> = agent;
    try {
      for await (const chunk of chunks) await call.send([writeMessage([[1, chunk]])]);
    } catch (error) {
      if (isClosed || call.signal.aborted) throw error;
    }
    if (!isClosed) throw sshAgentGone(id, 'the connection to its client closed while a step used it');
  };
  const stop = (): void => void agent.destroy();
  call.signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all([toAgent(), fromAgent()]);
  } finally {
    call.signal.removeEventListener('abort', stop);
    agent.destroy();
  }
}

export function sshAgentGone(id: string, why: string): ArchfarmError {
  return new ArchfarmError('client-gone', `ssh agent ${JSON.stringify(id)} is not reachable: ${why}`, {
    hint: 'the client that started the build must stay connected while a step uses its ssh agent',
  });
}

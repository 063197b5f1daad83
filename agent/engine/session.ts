/** A BuildKit session: the channel on which an engine asks us for files, credentials, secrets and ssh agents. */
import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.ts';
import { serveGrpc, type GrpcMethods } from './grpc.ts';

export interface Session extends AsyncDisposable {
  readonly id: string;
}

export interface SessionOptions {
  /** Engines keep their copy of a context under this key, and compare the next one with it. */
  readonly sharedKey: string;
  readonly methods: GrpcMethods;
  readonly onError: (error: Error) => void;
  readonly signal: AbortSignal;
}

/** The session lives until it is disposed of; the signal only ends the opening. */
export async function openSession(connection: Connection, options: SessionOptions): Promise<Session> {
  const { sharedKey, methods, onError, signal } = options;
  const id = randomUUID();
  const socket = await connection.hijack('/session', {
    signal,
    headers: {
      Upgrade: 'h2c',
      'X-Docker-Expose-Session-Uuid': id,
      'X-Docker-Expose-Session-Name': 'archfarm',
      'X-Docker-Expose-Session-Sharedkey': sharedKey,
      'X-Docker-Expose-Session-Grpc-Method': Object.keys(methods),
    },
  });
  const server = serveGrpc(socket, { methods, onError });
  return { id, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

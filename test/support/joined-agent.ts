/** Lets a test be the host that joins a running coordinator, and shows what it got. */
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import * as v from 'valibot';
import { requestCertificate } from '../../agent/certificate-request.ts';
import { recognize } from '../../agent/pinned-coordinator.ts';
import { parseJoinToken, type JoinToken } from '../../shared/join-token.ts';
import type { Timers } from '../../shared/timers.ts';
import type { TlsTrust } from '../../shared/trust.ts';
import { dial } from '../../shared/dial.ts';
import type { HttpAnswer } from './http-request.ts';
import { runningCoordinator, type RunningCoordinator, type RunningOptions } from './running-coordinator.ts';

const added = v.object({ token: v.string() });

/** Its own authority's, for this machine alone. */
const ownTls = { tls: { type: 'own', names: ['127.0.0.1', 'localhost'] } } as const;

/** One that hosts can join. */
export function joinableCoordinator(
  timers: Partial<Timers> = {},
  options: RunningOptions = {},
): Promise<RunningCoordinator> {
  return runningCoordinator(timers, () => false, { ...ownTls, ...options });
}

/** How an upgrade is refused. */
export async function refusalOf(
  running: RunningCoordinator,
  path: string,
  {
    query = {},
    trust = {},
    token,
  }: { query?: Record<string, string>; trust?: TlsTrust; token?: string } = {},
): Promise<{ status: number; text: string }> {
  const how = { rejectUnauthorized: false };
  const socket = dial(path, { coordinator: running.url, token, query, trust: { ...trust, ...how } });
  socket.on('error', () => {});
  const [, response] = await Promise.race([
    once(socket, 'unexpected-response'),
    once(socket, 'open').then(() => {
      socket.terminate();
      throw new Error(`${path} was let in`);
    }),
  ]);
  let text = '';
  for await (const piece of response) text += String(piece);
  socket.terminate();
  return { status: Number(response.statusCode), text };
}

/** What an admin hands to a host. */
export async function invite(
  running: RunningCoordinator,
  name: string,
  limits: { readonly platforms?: readonly string[]; readonly repositories?: readonly string[] } = {},
): Promise<JoinToken> {
  const answer = await running.ask('/v1/agents', { method: 'POST', body: { name, ...limits } });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return parseJoinToken(v.parse(added, answer.body).token);
}

/** What a connection of the agent shows. */
export async function joinAs(running: RunningCoordinator, name: string, limits = {}): Promise<TlsTrust> {
  return useToken(running, await invite(running, name, limits));
}

export async function useToken(running: RunningCoordinator, { pin, secret }: JoinToken): Promise<TlsTrust> {
  const signal = AbortSignal.timeout(30_000);
  const coordinator = running.url;
  const { trust } = await recognize({ coordinator, pin, caFile: undefined, signal });
  const { text } = await requestCertificate({ coordinator, path: 'v1/join', trust, bearer: secret, signal });
  return { cert: text, key: text };
}

const refusal = v.object({ error: v.object({ message: v.string() }) });

/** What the coordinator says against something. */
export function refusalIn({ body }: HttpAnswer): string {
  return v.parse(refusal, body).error.message;
}

export interface Listener extends AsyncDisposable {
  readonly port: number;
  /** All bytes that were said to it, after the handshakes. */
  readonly heard: readonly Buffer[];
  /** How many came. */
  readonly connections: number;
}

/** Somebody who speaks TLS with a certificate of its own, answers nothing, and keeps what it hears. */
export async function startListener(pair: {
  readonly certificate: string;
  readonly key: string;
}): Promise<Listener> {
  const heard: Buffer[] = [];
  const open = new Set<TLSSocket>();
  let connections = 0;
  const server: Server = createServer({ cert: pair.certificate, key: pair.key }, (socket) => {
    open.add(socket);
    socket.on('data', (bytes: Buffer) => heard.push(bytes));
    socket.on('error', () => {});
  });
  server.on('connection', () => (connections += 1));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return {
    port: address.port,
    heard,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

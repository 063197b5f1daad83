/** WebSockets to a coordinator, all made alike: bounded messages, no compression, the token in a header. */
import { WebSocket } from 'ws';
import { isThisHost, webSocketUrl } from './address.ts';
import { limits } from './messages.ts';
import type { TlsTrust } from './trust.ts';

export interface DialOptions {
  /** The http(s) form. */
  readonly coordinator: URL;
  readonly token: string | undefined;
  readonly trust?: TlsTrust | undefined;
  readonly query?: Readonly<Record<string, string>>;
}

/** Milliseconds for TCP, TLS and the upgrade. */
const handshakeTimeout = 10_000;

/** Milliseconds of silence before TCP asks whether the other host is still there; half a minute later it knows. */
export const keepAliveAfter = 15_000;

export function dial(path: string, { coordinator, token, trust, query }: DialOptions): WebSocket {
  const url = webSocketUrl(coordinator, path);
  if (query !== undefined) url.search = new URLSearchParams(query).toString();
  const socket = new WebSocket(url, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    maxPayload: limits.message,
    perMessageDeflate: false,
    handshakeTimeout,
    ...trust,
    // Masks protect proxies that take what they see for HTTP (RFC 6455, 10.3). Within one host there is none, and a mask of
    // zeros saves both sides a pass over every byte.
    ...(isThisHost(url) ? { generateMask: () => {} } : {}),
  });
  // Whoever waits for an answer sends nothing, and would wait for a host that is gone without end.
  socket.on('upgrade', (response) => response.socket.setKeepAlive(true, keepAliveAfter));
  return socket;
}

/** Begins to serve in the very event that opens the socket, so that no first message is missed. */
export function onceOpen<T>(socket: WebSocket, serve: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => socket.terminate();
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', aborted);
      reject(new Error('the connection closed before it was open'));
    });
    socket.once('open', () => {
      signal.removeEventListener('abort', aborted);
      serve().then(resolve, reject);
    });
    if (signal.aborted) aborted();
  });
}

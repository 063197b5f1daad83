/**
 * What listens: plain HTTP or TLS, never both on one port. Whoever has not yet shown who it is gets little time and
 * few connections.
 */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { PortCertificates } from '../trust/port-tls.ts';

export interface DoorLimits {
  /** Milliseconds from the connection to a request that shows who makes it. */
  readonly patience: number;
  /** Bytes. */
  readonly headers: number;
  /** Connections of one address that have not shown yet who they are. */
  readonly halfOpen: number;
}

export const doorLimits: DoorLimits = { patience: 5000, headers: 8192, halfOpen: 64 };

/** A connection that breaks before anything is known of it concerns nobody. */
function ignore(): void {}

interface Unknown {
  readonly socket: Socket;
  readonly late: NodeJS.Timeout;
}

/** First byte of a TLS handshake; no HTTP request begins with it. */
const handshake = 0x16;

export class Door {
  readonly server: http.Server;
  readonly #limits: DoorLimits;
  /** By address, the oldest first. */
  readonly #unknown = new Map<string, Map<string, Unknown>>();

  constructor(
    handler: http.RequestListener,
    tls: PortCertificates | undefined,
    limits: DoorLimits = doorLimits,
  ) {
    this.#limits = limits;
    const options = {
      maxHeaderSize: limits.headers,
      headersTimeout: limits.patience,
      // A build may be sent for as long as it takes, and its events followed for hours.
      requestTimeout: 0,
      keepAliveTimeout: 72_000,
    };
    if (tls === undefined) {
      this.server = http.createServer(options, handler);
      this.server.prependListener('connection', (socket: Socket) => this.#note(socket));
    } else {
      this.server = https.createServer(
        { ...options, ...contextOptions(tls), handshakeTimeout: limits.patience },
        handler,
      );
      this.#answerPlainRequests();
    }
  }

  /** Further connections see this certificate; those that are open stay as they are. */
  show(tls: PortCertificates): void {
    if (this.server instanceof https.Server) this.server.setSecureContext(contextOptions(tls));
  }

  /** Whoever holds this connection has shown who it is. */
  admit({ remoteAddress = '', remotePort = 0 }: Pick<Socket, 'remoteAddress' | 'remotePort'>): void {
    this.#forget(remoteAddress, `${remotePort}`);
  }

  #note(socket: Socket): void {
    const { remoteAddress = '', remotePort = 0 } = socket;
    // What came while this process was busy is read first.
    const end = (): unknown => this.#unknown.get(remoteAddress)?.has(`${remotePort}`) && socket.destroy();
    const late = setTimeout(() => setImmediate(end), this.#limits.patience);
    socket.once('close', () => this.#forget(remoteAddress, `${remotePort}`));
    const known = this.#unknown.get(remoteAddress) ?? new Map<string, Unknown>();
    this.#unknown.set(remoteAddress, known.set(`${remotePort}`, { socket, late }));
    // A hundred agents on this machine itself may come at once.
    if (/^(::ffff:)?127\.0\.0\.1$|^::1$/.test(remoteAddress)) return;
    // The oldest has had its time: whoever is honest comes in at once, whatever else its address holds open.
    const [oldest] = known.values();
    if (known.size > this.#limits.halfOpen) oldest?.socket.destroy();
  }

  #forget(address: string, port: string): void {
    const known = this.#unknown.get(address);
    clearTimeout(known?.get(port)?.late);
    known?.delete(port);
    if (known?.size === 0) this.#unknown.delete(address);
  }

  /** A plain request to a TLS port gets an answer that says so, and nothing else. */
  #answerPlainRequests(): void {
    const { server } = this;
    const begin = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      this.#note(socket);
      socket.on('error', ignore);
      socket.once('readable', () => {
        const first: unknown = socket.read();
        if (!Buffer.isBuffer(first)) return socket.destroy();
        if (first[0] !== handshake) return socket.end(plainAnswer, () => socket.destroySoon());
        socket.unshift(first);
        socket.off('error', ignore);
        for (const each of begin) each.call(server, socket);
        return undefined;
      });
    });
  }
}

/** Whoever shows a certificate that is not believed is told so, which TLS cannot. */
function contextOptions({
  certificate,
  key,
  clientAuthorities,
  issuerNames,
}: PortCertificates): https.ServerOptions {
  const ca = [clientAuthorities, ...issuerNames];
  const client = { requestCert: true, rejectUnauthorized: false, ca };
  return { cert: certificate, key, minVersion: 'TLSv1.2', ...client };
}

const plainBody = JSON.stringify({
  error: {
    code: 'usage',
    message: 'the coordinator speaks TLS on this port, and nothing without it',
    hint: 'its address begins with https:// or wss://',
  },
});
const plainAnswer = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: application/json',
  'Connection: close',
  `Content-Length: ${plainBody.length}`,
  '',
  plainBody,
].join('\r\n');

/** A TCP link to a server with a bandwidth, a meter and a knife: "in the middle of a transfer" is a number of bytes here. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './until.ts';

export interface SlowLink extends AsyncDisposable {
  /** `127.0.0.1:PORT`, for whoever is to reach the server through it. */
  readonly address: string;
  /** Bytes that went to the server, and that came from it, over all connections. */
  readonly sent: number;
  readonly received: number;
  /** Bytes a second in each direction from now on; Infinity at first. */
  rate: number;
  /** Bytes that are passed on together at most; each piece is of any size up to that. */
  pieces: number;
  /** Milliseconds that each piece waits at most; each waits for any time up to that. */
  jitter: number;
  /** Breaks every connection as soon as so many more bytes have passed, in whichever direction. */
  cutAfter(bytes: number): void;
  /** Breaks every connection now. */
  cut(): void;
  /** Waits until so many bytes have passed in all. */
  passed(bytes: number): Promise<void>;
}

export async function slowLink(server: string): Promise<SlowLink> {
  const { hostname, port } = new URL(`http://${server}`);
  const sockets = new Set<Socket>();
  const meter = { sent: 0, received: 0, rate: Infinity, cutAt: Infinity, pieces: Infinity, jitter: 0 };
  const total = (): number => meter.sent + meter.received;

  async function carry(from: Socket, to: Socket, direction: 'sent' | 'received'): Promise<void> {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const room = meter.cutAt - total();
      const part = chunk.subarray(0, Math.max(0, room));
      meter[direction] += part.length;
      for (const piece of sliced(part, meter.pieces)) {
        if (meter.jitter > 0) await sleep(Math.random() * meter.jitter);
        if (!to.write(piece)) await once(to, 'drain');
      }
      if (part.length === room) {
        meter.cutAt = Infinity;
        for (const socket of sockets) socket.destroy();
        return;
      }
      if (meter.rate < Infinity) await sleep((part.length / meter.rate) * 1000);
    }
    to.end();
  }

  const listener = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: Number(port), host: hostname, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      // What breaks on one side is broken on the other.
      socket.on('error', () => undefined);
    }
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
    carry(near, far, 'sent').catch(() => near.destroy());
    carry(far, near, 'received').catch(() => far.destroy());
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const bound = listener.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    address: `127.0.0.1:${bound.port}`,
    get sent() {
      return meter.sent;
    },
    get received() {
      return meter.received;
    },
    get rate() {
      return meter.rate;
    },
    set rate(bytes: number) {
      meter.rate = bytes;
    },
    get pieces() {
      return meter.pieces;
    },
    set pieces(bytes: number) {
      meter.pieces = bytes;
    },
    get jitter() {
      return meter.jitter;
    },
    set jitter(milliseconds: number) {
      meter.jitter = milliseconds;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    cutAfter(bytes) {
      meter.cutAt = total() + bytes;
    },
    async passed(bytes) {
      await until(() => total() >= bytes, { timeout: 60_000, what: `${bytes} bytes pass` });
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

function* sliced(bytes: Buffer, most: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const length = most < Infinity ? 1 + Math.floor(Math.random() * most) : bytes.length;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

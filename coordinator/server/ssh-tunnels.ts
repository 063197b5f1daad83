/**
 * Connections from a build step to the ssh agent of the client that asked for the build. The client keeps one
 * listening socket per build, on which it is told to open a tunnel; each tunnel is a socket of its own.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { WebSocket } from 'ws';
import { ArchfarmError } from '../../shared/errors.ts';

/** Milliseconds for a client to listen (it learns the build's id only after submitting) and to open a tunnel. */
const answerWithin = 10_000;

interface Listener {
  readonly ids: ReadonlySet<string>;
  readonly socket: WebSocket;
}

export class SshTunnels {
  readonly #listeners = new Map<string, Listener>();
  // Events are named by what clients sent, behind a prefix: some names mean something to an emitter.
  readonly #arrivals = new EventEmitter().setMaxListeners(0);
  readonly #listens = new EventEmitter().setMaxListeners(0);

  /** The newest client of a build serves it. */
  listen(build: string, ids: readonly string[], socket: WebSocket): void {
    const listener = { ids: new Set(ids), socket };
    this.#listeners.set(build, listener);
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      if (this.#listeners.get(build) === listener) this.#listeners.delete(build);
    });
    this.#listens.emit(`build ${build}`);
  }

  /** A client opened the tunnel it was asked for. False when nobody waits for it. */
  arrived(tunnel: string, socket: WebSocket): boolean {
    return this.#arrivals.emit(`tunnel ${tunnel}`, socket);
  }

  /** The client's end of a new tunnel. Throws `client-gone` naming the id. */
  async open(build: string, id: string): Promise<WebSocket> {
    const signal = AbortSignal.timeout(answerWithin);
    if (!this.#listeners.has(build)) await once(this.#listens, `build ${build}`, { signal }).catch(() => {});
    const listener = this.#listeners.get(build);
    if (listener?.ids.has(id) !== true) throw clientGone(build, id);
    const tunnel = randomBytes(16).toString('hex');
    const arrival = once(this.#arrivals, `tunnel ${tunnel}`, { signal });
    listener.socket.send(JSON.stringify({ type: 'open', tunnel, id }));
    const [socket]: WebSocket[] = await arrival.catch(() => []);
    if (socket === undefined) throw clientGone(build, id);
    return socket;
  }
}

function clientGone(build: string, id: string): ArchfarmError {
  return new ArchfarmError(
    'client-gone',
    `no client of build ${build} serves the ssh agent ${JSON.stringify(id)}`,
    {
      hint: 'the client that started the build must stay connected while a step uses its ssh agent',
    },
  );
}

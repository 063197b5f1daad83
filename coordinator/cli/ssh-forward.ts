/** Serves this machine's ssh agent to the steps of one build, for as long as the client follows it. */
import { connect } from 'node:net';
import { pipeline } from 'node:stream/promises';
import * as v from 'valibot';
import { createWebSocketStream, type RawData, type WebSocket } from 'ws';
import { clipReason, toBuffer } from '../../shared/channel.ts';
import { check } from '../../shared/codec.ts';
import { dial, type DialOptions } from '../../shared/dial.ts';
import { messageOf } from '../../shared/errors.ts';
import { closeCodes } from '../../shared/messages.ts';
import type { SshSource } from '../project/spec.ts';

const openSchema = v.strictObject({ type: v.literal('open'), tunnel: v.string(), id: v.string() });

export interface SshForwardOptions extends Pick<DialOptions, 'coordinator' | 'token' | 'trust'> {
  readonly build: string;
  readonly sources: readonly SshSource[];
}

/** Milliseconds before a lost connection is made again. */
const redialAfter = 1000;

export class SshForward {
  readonly #options: SshForwardOptions;
  readonly #tunnels = new Set<WebSocket>();
  #listener: WebSocket | undefined;
  #redial: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SshForwardOptions) {
    this.#options = options;
    this.#listen();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#redial);
    this.#listener?.terminate();
    for (const tunnel of this.#tunnels) tunnel.terminate();
  }

  #listen(): void {
    const { build, sources } = this.#options;
    const ids = sources.map((source) => source.id).join(',');
    const socket = dial('/v1/client/ssh', { ...this.#options, query: { build, ids } });
    this.#listener = socket;
    socket.on('message', (data: RawData) => {
      try {
        const { tunnel, id } = check(openSchema, toBuffer(data));
        void this.#open(tunnel, id);
      } catch (error) {
        socket.close(closeCodes.malformed, clipReason(messageOf(error)));
      }
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      if (!this.#closed) this.#redial = setTimeout(() => this.#listen(), redialAfter);
    });
  }

  /** Each question of a step is a connection of its own to the agent socket, as OpenSSH's forwarding makes it. */
  async #open(tunnel: string, id: string): Promise<void> {
    const source = this.#options.sources.find((candidate) => candidate.id === id);
    if (source === undefined) return;
    const socket = dial('/v1/client/tunnel', { ...this.#options, query: { tunnel } });
    this.#tunnels.add(socket);
    const remote = createWebSocketStream(socket);
    const local = connect(source.socket);
    try {
      await Promise.all([pipeline(remote, local), pipeline(local, remote)]);
    } catch {
      // The step sees its connection close, which is what a vanished agent looks like anywhere else.
    } finally {
      local.destroy();
      socket.terminate();
      this.#tunnels.delete(socket);
    }
  }
}

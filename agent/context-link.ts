/** Contents of contexts: from this host's store, else from the coordinator over a connection of their own. */
import { join } from 'node:path';
import { delay } from '../shared/abort.ts';
import { Backoff } from '../shared/backoff.ts';
import { CheckedTrees } from '../shared/context/checked-trees.ts';
import { givesPieces } from '../shared/context/gives-pieces.ts';
import { defaultLimits, type ContextLimits } from '../shared/context/limits.ts';
import { BlobReceiver } from '../shared/context/receiver.ts';
import { BlobStore } from '../shared/context/store.ts';
import type { StoreUsage } from '../shared/context/store-usage.ts';
import type { ContextSource, Digest, TreeId } from '../shared/context/tree.ts';
import { dial, onceOpen } from '../shared/dial.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Timers } from '../shared/timers.ts';
import type { AgentConfig } from './config.ts';

/** The contents that one job asks for. */
export interface JobContext extends ContextSource {
  /** Bytes that were not on this host. */
  readonly sentBytes: number;
  /** Brings the directories and times of these trees here and checks them. */
  prepare(trees: readonly TreeId[], options: PrepareOptions): Promise<void>;
}

export interface PrepareOptions {
  /** The coordinator's; the usual ones where it has told none. */
  readonly limits?: ContextLimits | undefined;
  readonly signal: AbortSignal;
}

export interface ContextLinkOptions {
  readonly config: Pick<AgentConfig, 'coordinator' | 'token' | 'trust' | 'name' | 'cache' | 'contextStore'>;
  readonly timers: Timers;
  readonly log: Logger;
}

export class ContextLink {
  readonly #options: ContextLinkOptions;
  readonly #store: BlobStore;
  readonly #receiver: BlobReceiver;
  readonly #trees: CheckedTrees;
  readonly #stop = new AbortController();
  #jobs = 0;
  /** Ends the present connection. */
  #idle = new AbortController();
  #dialing: Promise<void> | undefined;

  private constructor(options: ContextLinkOptions, store: BlobStore) {
    this.#options = options;
    this.#store = store;
    this.#receiver = new BlobReceiver({ store });
    this.#trees = new CheckedTrees(store);
  }

  static async open(options: ContextLinkOptions): Promise<ContextLink> {
    const { cache, contextStore } = options.config;
    const store = await BlobStore.open(join(cache, 'contexts'), contextStore);
    store.begin();
    return new ContextLink(options, store);
  }

  /** To be disposed when the job has ended: a connection that breaks is made again for jobs only. */
  forJob(): JobContext & Disposable {
    const [receiver, checked] = [this.#receiver, this.#trees];
    this.#jobs += 1;
    this.#dialing ??= this.#dial().finally(() => {
      this.#dialing = undefined;
    });
    let sentBytes = 0;
    return {
      get sentBytes() {
        return sentBytes;
      },
      directory: (digest, signal) => receiver.directory(digest, signal),
      async blob(digest, size, signal) {
        // Others ask at the same time: read only after the wait.
        const missing = await receiver.missingBytes(digest, size, signal);
        sentBytes += missing;
        const made = new Set<Digest>();
        return receiver.blob(digest, size, signal, (chunk, { all, sent }) => {
          if (!made.has(chunk)) sentBytes -= all - sent;
          made.add(chunk);
        });
      },
      async prepare(trees, { limits = defaultLimits, signal }) {
        const owned = { ...limits, command: 'serve' } as const;
        await Promise.all(trees.map((tree) => checked.fetch(tree, receiver, { limits: owned, signal })));
      },
      [Symbol.dispose]: () => {
        this.#jobs -= 1;
        if (this.#jobs === 0) this.#idle.abort(new Error('no job needs contents'));
      },
    };
  }

  usage(): StoreUsage {
    return this.#store.usage();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    await this.#dialing;
    await this.#store[Symbol.asyncDispose]();
  }

  /** While there are jobs; what a connection leaves unanswered is asked for on the next. */
  async #dial(): Promise<void> {
    const { config, timers, log } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ first: timers.reconnect, max: timers.reconnectMax });
    while (this.#jobs > 0 && !signal.aborted) {
      this.#idle = new AbortController();
      const idle = this.#idle.signal;
      const either = AbortSignal.any([signal, idle]);
      const socket = dial('/v1/agent/context', {
        ...config,
        trust: config.trust(),
        query: { agent: config.name },
      });
      const told = { givesPieces: false };
      socket.once('upgrade', ({ headers }) => {
        told.givesPieces = headers[givesPieces.header] === givesPieces.value;
      });
      try {
        await onceOpen(socket, () => this.#receiver.attach(socket, either, told), either);
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        // A job that came while this connection closed must not wait.
        if (idle.aborted) continue;
        log.debug({ reason: messageOf(error) }, 'the context connection broke');
      }
      await delay(backoff.next(), signal).catch(() => {});
    }
  }
}

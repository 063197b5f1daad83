/**
 * Tells builds that must not use base images of the engine's own from those that would. An engine told to pull looks
 * for every base at its registry, also for images of named contexts, which are nowhere else; told nothing, it takes an
 * image of its own where it has one of that name, and else asks the registry just the same.
 */
import type { TaskEvent } from '../../shared/progress.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Connection } from './connection.ts';
import { isRefusal } from './engine-error.ts';
import { imageRepository } from './context-image-names.ts';

export class FreshBases {
  readonly #connection: Connection;
  readonly #build: AbortSignal;
  readonly #stale = new AbortController();
  readonly #seen = new Set<string>();
  readonly #looks: Promise<void>[] = [];

  /** `build` ends what is looked for when it aborts. */
  constructor(connection: Connection, build: AbortSignal) {
    this.#connection = connection;
    this.#build = build;
  }

  /** Aborts with the error that names a base which the engine would not pull. */
  get signal(): AbortSignal {
    return this.#stale.signal;
  }

  /** To be told of every step. */
  watch(event: TaskEvent): void {
    const base = event.type === 'step' ? /load metadata for (\S+)$/.exec(event.name)?.[1] : undefined;
    if (base === undefined || base.startsWith(`${imageRepository}:`) || this.#seen.has(base)) return;
    this.#seen.add(base);
    this.#looks.push(this.#look(base));
  }

  /** Resolves once all bases have been looked at; rejects with the signal's error, or the build's. */
  async settled(): Promise<void> {
    await Promise.all(this.#looks);
    this.#stale.signal.throwIfAborted();
  }

  async #look(base: string): Promise<void> {
    const signal = AbortSignal.any([this.#build, this.#stale.signal]);
    try {
      // dockerode's own way to inspect an image takes no signal.
      await this.#connection.get(`/images/${base}/json`, signal);
    } catch (error) {
      if (error instanceof ArchfarmError && isRefusal(error.cause) && error.message.includes('No such image'))
        return;
      this.#stale.abort(error);
      return;
    }
    this.#stale.abort(
      new ArchfarmError(
        'config',
        `${base} is among the images of the engine at ${this.#connection.host}, which would not pull it again beside additional contexts`,
        {
          hint: `remove it there with docker rmi ${base}, or build without --pull`,
        },
      ),
    );
  }
}

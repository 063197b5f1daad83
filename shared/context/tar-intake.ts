/** Takes a tar in pieces as they arrive and hands out its entries: small ones whole, others while they arrive. */
import { once } from 'node:events';
import { extract } from 'tar-stream';
import { buffers } from './buffers.ts';
import { Deferred } from './deferred.ts';

/** Takes entries, one after the other: the next comes when the promise for the last has resolved. */
export interface TarTaker {
  /** Whether it is to come whole. Throws for one that must not come. */
  takesWhole(name: string, size: number): boolean;
  take(name: string, content: Buffer): Promise<void>;
  /** `chunks` throws when the tar is cut before the end of the entry. */
  takeChunks(name: string, chunks: AsyncIterable<Buffer>): Promise<void>;
}

type Entry = AsyncIterable<unknown> & {
  on(event: 'data', listener: (chunk: unknown) => void): unknown;
  on(event: 'end' | 'error', listener: () => void): unknown;
};

export class TarIntake {
  /** The entry that is being taken. */
  current: string | undefined;
  readonly #extract = extract();
  readonly #taker: TarTaker;
  readonly #done = new Deferred<void>();
  /** Of an entry that is taken while it arrives: has to end before the tar has. */
  #taking: Promise<void> | undefined;
  #over = false;

  /** `onFailure` hears at once when the taker or the tar is at fault. */
  constructor(taker: TarTaker, onFailure: (error: unknown) => void) {
    this.#taker = taker;
    this.#extract.on('entry', ({ name, size }, entry, next) => this.#begin({ name, size, entry, next }));
    this.#extract.on('error', (error: unknown) => this.#done.reject(error));
    this.#extract.on('close', () => this.#done.resolve());
    this.#done.promise.catch((error: unknown) => {
      // Otherwise `end` tells of it.
      if (!this.#over) onFailure(error);
    });
  }

  /** Resolves when there is room for more. */
  async write(chunk: Buffer): Promise<void> {
    if (this.#extract.write(chunk)) return;
    await Promise.race([this.#done.promise, once(this.#extract, 'drain')]);
  }

  /** Resolves when all entries were taken; throws also when the tar was cut inside one. */
  async end(): Promise<void> {
    this.#over = true;
    this.#extract.end(undefined);
    await this.#finish();
  }

  /** Gives up; resolves when the last entry was let go. */
  async destroy(): Promise<void> {
    this.#over = true;
    this.#extract.destroy();
    await this.#finish().catch(() => {});
  }

  async #finish(): Promise<void> {
    try {
      await this.#done.promise;
    } finally {
      await this.#taking?.catch(() => {});
    }
  }

  #begin(begun: {
    readonly name: string;
    readonly size: number;
    readonly entry: Entry;
    readonly next: () => void;
  }): void {
    const { name, size, entry, next } = begun;
    const fail = (error: unknown): void => {
      this.#done.reject(error);
      this.#extract.destroy();
    };
    // The tar's own error tells of it.
    entry.on('error', () => {});
    const goOn = (): void => {
      this.current = undefined;
      next();
    };
    try {
      this.current = name;
      if (this.#taker.takesWhole(name, size)) {
        const parts: Buffer[] = [];
        entry.on('data', (chunk) => {
          if (Buffer.isBuffer(chunk)) parts.push(chunk);
        });
        entry.on('end', () => {
          this.#taker.take(name, joined(parts, size)).then(goOn, fail);
        });
      } else {
        this.#taking = this.#taker.takeChunks(name, buffers(entry));
        this.#taking.then(goOn, fail);
      }
    } catch (error) {
      fail(error);
    }
  }
}

/** Most lie within one frame, and need not be copied. */
function joined([first = Buffer.alloc(0), ...more]: readonly Buffer[], size: number): Buffer {
  return more.length === 0 ? first : Buffer.concat([first, ...more], size);
}

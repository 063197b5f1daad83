/** Takes a tar in pieces as they arrive and hands out its entries while they do. */
import { once } from 'node:events';
import { extract } from 'tar-stream';
import { buffers } from './buffers.ts';

export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** Throws when the tar is cut before its end. */
  readonly chunks: AsyncIterable<Buffer>;
}

export class TarIntake {
  readonly #extract = extract();
  readonly #done: Promise<void>;
  #over = false;

  /** `land` consumes each entry, one after the other. `onFailure` hears at once when it or the tar is at fault. */
  constructor(land: (entry: TarEntry) => Promise<void>, onFailure: (error: unknown) => void) {
    this.#done = this.#consume(land);
    this.#done.catch((error: unknown) => {
      // Otherwise `end` tells of it.
      if (!this.#over) onFailure(error);
    });
  }

  /** Resolves when there is room for more. */
  async write(chunk: Buffer): Promise<void> {
    const room = this.#extract.write(chunk) ? Promise.resolve() : once(this.#extract, 'drain');
    await Promise.race([this.#done, room]);
  }

  /** Resolves when all entries were consumed; throws also when the tar was cut inside one. */
  async end(): Promise<void> {
    this.#over = true;
    this.#extract.end(undefined);
    await this.#done;
  }

  /** Gives up; resolves when the last entry was let go. */
  async destroy(): Promise<void> {
    this.#over = true;
    this.#extract.destroy();
    await this.#done.catch(() => {});
  }

  async #consume(land: (entry: TarEntry) => Promise<void>): Promise<void> {
    for await (const entry of this.#extract) {
      await land({ name: entry.header.name, size: entry.header.size, chunks: buffers(entry) });
    }
  }
}

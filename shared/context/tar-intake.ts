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

  /** `land` consumes each entry, one after the other; its failure fails the next `write` or `end`. */
  constructor(land: (entry: TarEntry) => Promise<void>) {
    this.#done = this.#consume(land);
    // `write` and `end` tell of it.
    this.#done.catch(() => {});
  }

  /** Resolves when there is room for more. */
  async write(chunk: Buffer): Promise<void> {
    const room = this.#extract.write(chunk) ? Promise.resolve() : once(this.#extract, 'drain');
    await Promise.race([this.#done, room]);
  }

  /** Resolves when all entries were consumed; throws also when the tar was cut inside one. */
  async end(): Promise<void> {
    this.#extract.end(undefined);
    await this.#done;
  }

  /** Gives up; resolves when the last entry was let go. */
  async destroy(): Promise<void> {
    this.#extract.destroy();
    await this.#done.catch(() => {});
  }

  async #consume(land: (entry: TarEntry) => Promise<void>): Promise<void> {
    for await (const entry of this.#extract) {
      await land({ name: entry.header.name, size: entry.header.size, chunks: buffers(entry) });
    }
  }
}

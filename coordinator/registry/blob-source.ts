/** A blob that is read piece by piece, from wherever the reader is; the connection is made anew when he jumps. */
import type { Readable } from 'node:stream';
import type { Descriptor } from '../../shared/progress.ts';
import type { RegistryRequest } from './client.ts';
import { networkFailure, RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';

export function blobRequest(repository: Repository, blob: Descriptor): RegistryRequest {
  return {
    method: 'GET',
    url: repository.path(`blobs/${blob.digest}`),
    scopes: [repository.pullScope],
    expected: [200],
  };
}

export class BlobSource implements Disposable {
  readonly #repository: Repository;
  readonly #blob: Descriptor;
  readonly #signal: AbortSignal;
  #stream: Readable | undefined;
  #pieces: AsyncIterator<Buffer> | undefined;
  #url: URL | undefined;
  /** Taken from the stream, not yet from here. */
  #held: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(repository: Repository, blob: Descriptor, signal: AbortSignal) {
    this.#repository = repository;
    this.#blob = blob;
    this.#signal = signal;
  }

  /** Exactly `length` bytes from `start` on, in memory. Throws a passing failure when the blob ends or breaks before. */
  async read(start: number, length: number): Promise<Buffer> {
    if (this.#pieces === undefined || this.#position !== start) await this.#open(start);
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0;) {
      if (this.#held.length === 0) this.#held = await this.#next();
      const part = this.#held.subarray(0, missing);
      this.#held = this.#held.subarray(part.length);
      this.#position += part.length;
      missing -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts, length);
  }

  [Symbol.dispose](): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#pieces = undefined;
  }

  async #open(start: number): Promise<void> {
    this[Symbol.dispose]();
    const request = blobRequest(this.#repository, this.#blob);
    const answer = await this.#repository.client.open(
      start === 0 ? request : { ...request, headers: { range: `bytes=${start}-` }, expected: [200, 206] },
      this.#signal,
    );
    this.#url = answer.url;
    this.#stream = answer.stream();
    this.#pieces = this.#stream[Symbol.asyncIterator]();
    this.#held = Buffer.alloc(0);
    this.#position = start;
    // Not every registry reads from the middle.
    if (answer.status === 200) await this.#skip(start);
  }

  async #skip(bytes: number): Promise<void> {
    for (let missing = bytes; missing > 0;) {
      const piece = await this.#next();
      this.#held = piece.subarray(missing);
      missing -= Math.min(missing, piece.length);
    }
  }

  async #next(): Promise<Buffer> {
    const { client } = this.#repository;
    const asked = {
      method: 'GET',
      url: this.#url ?? new URL(client.endpoint.origin),
      endpoint: client.endpoint,
    };
    try {
      const next = await this.#pieces?.next();
      if (next?.done === false) return next.value;
    } catch (error) {
      this[Symbol.dispose]();
      this.#signal.throwIfAborted();
      throw error instanceof RegistryError ? error : networkFailure(asked, error);
    }
    this[Symbol.dispose]();
    throw networkFailure(asked, new Error(`the blob ended before its ${this.#blob.size} bytes`));
  }
}

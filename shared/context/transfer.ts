/** One content or directory record on its way here, with everybody who waits for it. */
import { setMaxListeners } from 'node:events';
import { untilAborted } from '../abort.ts';
import { ArchfarmError } from '../errors.ts';
import type { BlobWriter } from './blob-writer.ts';
import { Deferred } from './deferred.ts';
import { decodeDirectory, digestOf, maxRecordBytes } from './encoding.ts';
import { smallBytes, type BlobStore } from './store.ts';
import type { WantedItem } from './transfer-messages.ts';

/** What counts for a directory before its record is here: bytes. */
const expectedRecordBytes = 16 * 1024;

export class Transfer {
  readonly item: Omit<WantedItem, 'offset'>;
  /** How often it was asked for without coming. */
  fruitless = 0;
  readonly #store: BlobStore;
  /** A large one can be read from when its first bytes are here; others when they are complete. */
  readonly #available = new Deferred<Buffer | BlobWriter>();
  readonly #complete = new Deferred<void>();
  #writer: BlobWriter | undefined;
  #landed: Buffer | undefined;
  #failed = false;

  constructor(item: Omit<WantedItem, 'offset'>, store: BlobStore) {
    this.item = item;
    this.#store = store;
  }

  /** Bytes still to come, as far as one knows. */
  get expected(): number {
    return this.item.kind === 'directory' ? expectedRecordBytes : this.item.size - this.offset;
  }

  /** Where it goes on after a cut. */
  get offset(): number {
    return this.#writer?.written ?? 0;
  }

  /** The whole content. */
  async whole(signal: AbortSignal): Promise<Buffer> {
    const content = await wait(this.#available.promise, signal);
    if (Buffer.isBuffer(content)) return content;
    throw new ArchfarmError('internal', `${this.item.digest} is too large to be taken whole`);
  }

  /** The content as it comes. Its stream fails when it turns out wrong. */
  async stream(signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const content = await wait(this.#available.promise, signal);
    return Buffer.isBuffer(content) ? single(content) : content.read(signal);
  }

  /** Resolves when it is in the store. */
  async stored(signal: AbortSignal): Promise<void> {
    await wait(this.#complete.promise, signal);
  }

  /**
   * Takes `size` bytes and hands them to those who wait; `store` has to follow. Throws `protocol` for a wrong size and
   * whatever `chunks` throws, after which it can be sent again; all other failures are those of the waiters.
   */
  async land(size: number, chunks: AsyncIterable<Buffer>): Promise<void> {
    const { kind, digest } = this.item;
    if (kind === 'blob' ? size !== this.expected : size > maxRecordBytes) {
      throw new ArchfarmError('protocol', `${digest} was sent with ${size} bytes`);
    }
    if (kind === 'blob' && this.item.size > smallBytes) await this.#landLarge(chunks);
    else await this.#landWhole(chunks);
  }

  /** Resolves when what has landed is in the store. Never throws. */
  async store(): Promise<void> {
    await this.#unlessFailed(async () => {
      if (this.#landed !== undefined) await this.#store.put(this.item, this.#landed);
      this.#complete.resolve();
    });
  }

  /** Ends it for all who wait. */
  async fail(error: unknown): Promise<void> {
    this.#failed = true;
    this.#available.reject(error);
    this.#complete.reject(error);
    await this.#writer?.fail(error);
  }

  async #landWhole(chunks: AsyncIterable<Buffer>): Promise<void> {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const content = Buffer.concat(parts);
    await this.#unlessFailed(async () => {
      this.#check(content);
      this.#landed = content;
      this.#available.resolve(content);
    });
  }

  /** A connection that is cut throws out of the loop: what was written stays, and a later one goes on from there. */
  async #landLarge(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      // What is left of a failed one has to be read too: others follow it.
      await this.#unlessFailed(async () => {
        this.#writer ??= await this.#store.write(this.item);
        this.#available.resolve(this.#writer);
        await this.#writer.write(chunk);
      });
    }
    await this.#unlessFailed(async () => this.#writer?.finish());
  }

  async #unlessFailed(action: () => Promise<void>): Promise<void> {
    if (this.#failed) return;
    try {
      await action();
    } catch (error) {
      await this.fail(error);
    }
  }

  #check(content: Buffer): void {
    const { kind, digest } = this.item;
    if (kind === 'directory') decodeDirectory(digest, content);
    else if (digestOf(content) !== digest) {
      throw new ArchfarmError('context-changed', `the content sent for ${digest} does not have its digest`, {
        hint: 'a file of the context changed during the build; build again',
      });
    }
  }
}

function wait<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // A build waits for many contents at once under one signal.
  setMaxListeners(0, signal);
  return untilAborted(promise, signal);
}

async function* single(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/**
 * A large content on its way into the store. Any number of readers follow it while it is written, each at its own
 * speed, because they read from the file and not from whoever sends.
 */
import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { ArchfarmError, systemCode } from '../errors.ts';
import type { Digest } from './tree.ts';
import { Wakeup } from './wakeup.ts';

const readBytes = 128 * 1024;

export interface BlobWriterOptions {
  readonly file: FileHandle;
  readonly temporary: string;
  readonly final: string;
  /** Runs what writes to the store, again where it made room meanwhile. Throws `disk-full`. */
  write<T>(action: () => Promise<T>): Promise<T>;
  /** Makes the temporary file the final one. */
  store(): Promise<void>;
}

export class BlobWriter {
  readonly digest: Digest;
  readonly size: number;
  readonly #file: FileHandle;
  readonly #options: BlobWriterOptions;
  readonly #hash = createHash('sha256');
  readonly #progress = new Wakeup();
  #written = 0;
  #state: 'writing' | 'finished' | 'failed' = 'writing';
  #error: unknown;

  constructor(blob: { readonly digest: Digest; readonly size: number }, options: BlobWriterOptions) {
    this.digest = blob.digest;
    this.size = blob.size;
    this.#file = options.file;
    this.#options = options;
  }

  /** Where a transfer that was cut goes on. */
  get written(): number {
    return this.#written;
  }

  /** Chunks come in order, one call at a time. Throws `disk-full`, after which it can only fail. */
  async write(chunk: Buffer): Promise<void> {
    if (this.#written + chunk.length > this.size) throw this.#wrong('has more bytes than its size');
    this.#hash.update(chunk);
    await this.#options.write(async () => {
      for (let at = 0; at < chunk.length;) {
        const { bytesWritten } = await this.#file.write(chunk, at, chunk.length - at, this.#written + at);
        at += bytesWritten;
      }
    });
    this.#written += chunk.length;
    this.#progress.wake();
  }

  /** Stores it under its digest; throws `context-changed` when the bytes are not those of the digest. */
  async finish(): Promise<void> {
    if (this.#written !== this.size) throw this.#wrong('has fewer bytes than its size');
    if (`sha256:${this.#hash.digest('hex')}` !== this.digest) throw this.#wrong('does not have its digest');
    await this.#options.write(() => this.#options.store());
    await this.#end('finished');
  }

  /** Drops what was written; readers fail with the error. Without effect once it is finished. */
  async fail(error: unknown): Promise<void> {
    if (this.#state !== 'writing') return;
    this.#error = error;
    try {
      await this.#end('failed');
    } finally {
      await rm(this.#options.temporary, { force: true });
    }
  }

  /** Ends only after the digest was found right. */
  async *read(signal: AbortSignal): AsyncGenerator<Buffer> {
    const file = await this.#openToRead();
    try {
      for (let at = 0; ;) {
        if (this.#state === 'failed') throw this.#error;
        if (at < this.#written) {
          const chunk = Buffer.allocUnsafe(Math.min(readBytes, this.#written - at));
          const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
          if (bytesRead === 0) throw this.#wrong('was cut short on disk');
          at += bytesRead;
          yield chunk.subarray(0, bytesRead);
        } else if (this.#state === 'finished') {
          return;
        } else {
          await this.#progress.wait(signal);
        }
      }
    } finally {
      await file.close();
    }
  }

  /** A file of its own for each reader: one may begin when writing has long ended. */
  async #openToRead(): Promise<FileHandle> {
    try {
      return await open(this.#options.temporary);
    } catch (error) {
      if (this.#state === 'failed') throw this.#error;
      if (systemCode(error) !== 'ENOENT') throw error;
      return open(this.#options.final);
    }
  }

  async #end(state: 'finished' | 'failed'): Promise<void> {
    this.#state = state;
    this.#progress.wake();
    await this.#file.close();
  }

  #wrong(what: string): ArchfarmError {
    return new ArchfarmError('context-changed', `the content sent for ${this.digest} ${what}`, {
      hint: 'a file of the context changed during the build; build again',
    });
  }
}

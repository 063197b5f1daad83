/** Contents of an archive, one after the other in a file of their own. */
import { createHash, hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Chunker } from '../../shared/context/chunker.ts';
import { chunkedBytes, encodeRecipe } from '../../shared/context/chunks.ts';
import { unlessDiskFull } from '../../shared/context/disk-full.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { ContextFile } from './context-file.ts';
import { Rows } from './rows.ts';

/** A row: digest (32), where the content begins (6), bytes (6). */
const rowBytes = 44;
const prefix = 'sha256:';
/** Written at a time: most contents are much smaller. */
const writtenBytes = 256 * 1024;

export class Spool implements AsyncDisposable {
  /** Records of the recipes of large contents, by their digests. */
  readonly recipes = new Map<Digest, Buffer>();
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #rows = new Rows(rowBytes);
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #end = 0;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<Spool> {
    return new Spool(path, await open(path, 'wx', 0o600));
  }

  /** Gives the number of the content. It can be read once `flush` was called. */
  async add(pieces: AsyncIterable<Buffer>, size: number): Promise<number> {
    const start = this.#end;
    const digest = size > writtenBytes ? await this.#addLarge(pieces, size) : await this.#addSmall(pieces);
    const row = this.#rows.add();
    const [block, at] = [this.#rows.block(row), this.#rows.offset(row)];
    block.write(digest.slice(prefix.length), at, 'hex');
    block.writeUIntLE(start, at + 32, 6);
    block.writeUIntLE(this.#end - start, at + 38, 6);
    return row;
  }

  async flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    await unlessDiskFull(dirname(this.#path), () => this.#handle.writeFile(Buffer.concat(waiting)));
  }

  digest(content: number): Digest {
    const at = this.#rows.offset(content);
    return prefix + this.#rows.block(content).toString('hex', at, at + 32);
  }

  size(content: number): number {
    return this.#rows.block(content).readUIntLE(this.#rows.offset(content) + 38, 6);
  }

  file(content: number, name: string): ContextFile {
    const start = this.#rows.block(content).readUIntLE(this.#rows.offset(content) + 32, 6);
    return { path: this.#path, name, size: this.size(content), mtime: undefined, start };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #addSmall(pieces: AsyncIterable<Buffer>): Promise<Digest> {
    const parts: Buffer[] = [];
    for await (const piece of pieces) parts.push(piece);
    const content = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    await this.#write(content);
    return prefix + hash('sha256', content, 'hex');
  }

  async #addLarge(pieces: AsyncIterable<Buffer>, size: number): Promise<Digest> {
    const whole = createHash('sha256');
    const chunker = size > chunkedBytes ? new Chunker() : undefined;
    for await (const piece of pieces) {
      whole.update(piece);
      chunker?.push(piece);
      await this.#write(piece);
    }
    const digest = prefix + whole.digest('hex');
    if (chunker !== undefined) this.recipes.set(digest, encodeRecipe(chunker.finish()));
    return digest;
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#end += bytes.length;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= writtenBytes) await this.flush();
  }
}

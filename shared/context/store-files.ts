/** What the store keeps as a file each, by digest. Files appear by rename, so each is whole or not there. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Digest } from './tree.ts';

const kinds = ['blob', 'directory', 'recipe'] as const;

export interface FileItem {
  readonly kind: (typeof kinds)[number];
  readonly digest: Digest;
}

export interface FoundFile extends FileItem {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** Milliseconds after which what a process has left unfinished is nobody's. */
export const abandonedAfter = 24 * 3_600_000;
const prefix = 'sha256:';

export class StoreFiles {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async prepare(): Promise<void> {
    for (const name of ['temp', ...kinds]) {
      await mkdir(join(this.directory, name), { recursive: true, mode: 0o700 });
    }
  }

  pathOf({ kind, digest }: FileItem): string {
    const hex = digest.slice(prefix.length);
    return join(this.directory, kind, hex.slice(0, 2), hex);
  }

  temporaryPath(): string {
    return join(this.directory, 'temp', randomBytes(12).toString('hex'));
  }

  /** Undefined when it is not there. */
  async find(item: FileItem): Promise<FoundFile | undefined> {
    const found = await stat(this.pathOf(item)).catch(absent);
    return found === undefined ? undefined : { ...item, size: found.size, usedAt: found.mtimeMs };
  }

  /** The whole file, unverified; undefined when it is not there. Counts as a use. */
  async read(item: FileItem): Promise<Buffer | undefined> {
    const file = await open(this.pathOf(item)).catch(absent);
    if (file === undefined) return undefined;
    try {
      await file.utimes(new Date(), new Date());
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  async write(item: FileItem, content: Buffer): Promise<void> {
    const temporary = this.temporaryPath();
    try {
      await writeFile(temporary, content, { mode: 0o600 });
      await this.adopt(temporary, item);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Makes a finished temporary file that of the item. */
  async adopt(temporary: string, item: FileItem): Promise<void> {
    const path = this.pathOf(item);
    try {
      await rename(temporary, path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      // The first of its shard.
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
      await rename(temporary, path);
    }
  }

  /** Without effect when it is gone. */
  async touch(item: FileItem): Promise<void> {
    await utimes(this.pathOf(item), new Date(), new Date()).catch(absent);
  }

  async remove(item: FileItem): Promise<void> {
    await rm(this.pathOf(item), { force: true });
  }

  async *list(only: readonly FileItem['kind'][] = kinds): AsyncGenerator<FoundFile> {
    for (const kind of only) {
      for (const shard of await readdir(join(this.directory, kind))) {
        for (const name of await readdir(join(this.directory, kind, shard))) {
          const found = await this.find({ kind, digest: prefix + name });
          if (found !== undefined) yield found;
        }
      }
    }
  }

  /** Removes what killed processes left: a live one would have written to it since. */
  async removeAbandoned(now: number): Promise<void> {
    const directory = join(this.directory, 'temp');
    for (const name of await readdir(directory)) {
      const found = await stat(join(directory, name)).catch(absent);
      if (found !== undefined && now - found.mtimeMs > abandonedAfter) {
        await rm(join(directory, name), { recursive: true, force: true });
      }
    }
  }
}

export function absent(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

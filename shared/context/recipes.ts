/**
 * Which chunks make the chunked contents of a store. Each recipe's record is a file that ends with the record's own
 * sha256, so that a damaged one is told from one whose chunks are gone.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { chunksOf, decodeRecipe, encodeRecipe, type Recipe } from './chunks.ts';
import { absent, type FileItem, type FoundFile, type StoreFiles } from './store-files.ts';
import type { Digest } from './tree.ts';

export interface ChunkedContent {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

const sumBytes = 32;
/** Of the recipes that are looked at for what a new content has in common with others. */
const maxRecent = 32;
const maxRecentBytes = 2 * 1024 * 1024;

export class Recipes {
  readonly #files: StoreFiles;

  constructor(files: StoreFiles) {
    this.#files = files;
  }

  /** Undefined when it is not here, was damaged and has been dropped, or is of a content of another size. */
  async get(content: ChunkedContent): Promise<Recipe | undefined> {
    const stored = await this.#files.read(itemOf(content));
    if (stored === undefined) return undefined;
    const record = verified(stored);
    if (record === undefined) {
      await this.drop(content);
      return undefined;
    }
    try {
      return decodeRecipe(content, record);
    } catch {
      return undefined;
    }
  }

  /** All that are whole, without using them. */
  async *list(): AsyncGenerator<{ readonly file: FoundFile; readonly recipe: Recipe }> {
    for await (const file of this.#files.list(['recipe'])) {
      const stored = await readFile(this.#files.pathOf(file)).catch(absent);
      if (stored === undefined) continue;
      const record = verified(stored);
      yield { file, recipe: record === undefined ? [] : chunksOf(record) };
    }
  }

  /** Records of those used latest, without using them. */
  async recent(): Promise<readonly Buffer[]> {
    const files: FoundFile[] = [];
    for await (const file of this.#files.list(['recipe'])) files.push(file);
    const records: Buffer[] = [];
    let bytes = 0;
    for (const file of files.toSorted((a, b) => b.usedAt - a.usedAt).slice(0, maxRecent)) {
      bytes += file.size;
      if (bytes > maxRecentBytes) break;
      const stored = await readFile(this.#files.pathOf(file)).catch(absent);
      const record = stored === undefined ? undefined : verified(stored);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  async put(content: ChunkedContent, recipe: Recipe): Promise<void> {
    const record = encodeRecipe(recipe);
    await this.#files.write(itemOf(content), Buffer.concat([record, sumOf(record)]));
  }

  async drop(content: ChunkedContent): Promise<void> {
    await this.#files.remove(itemOf(content));
  }
}

function itemOf({ digest }: ChunkedContent): FileItem {
  return { kind: 'recipe', digest };
}

/** The record, or undefined where it is not the one that was stored. */
function verified(stored: Buffer): Buffer | undefined {
  const record = stored.subarray(0, Math.max(0, stored.length - sumBytes));
  return sumOf(record).equals(stored.subarray(record.length)) ? record : undefined;
}

function sumOf(record: Buffer): Buffer {
  return createHash('sha256').update(record).digest();
}

/**
 * Contents above 8 MiB are kept and sent as chunks, so that a change resends only what it touched. A recipe lists the
 * chunks of a content in order; each chunk is a blob like any other, found by its own sha256.
 *
 * Record: `archfarm recipe 1` and NUL, then for each chunk its sha256 (32 bytes) and its size (32 bits, big endian).
 * The number changes with this form and with the rules by which contents are cut: see chunker.ts.
 */
import { ArchfarmError } from '../errors.ts';
import type { Digest } from './tree.ts';

export interface Chunk {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** The chunks of one content, in its order. */
export type Recipe = readonly Chunk[];

/** Contents above this many bytes are chunked. */
export const chunkedBytes = 8 * 1024 * 1024;
/** Bytes of any chunk but the last of its content. */
export const minChunkBytes = 128 * 1024;
/** Bytes of any chunk. */
export const maxChunkBytes = 2 * 1024 * 1024;

const header = Buffer.from('archfarm recipe 1\0');
const digestBytes = 32;
const entryBytes = digestBytes + 4;
const prefix = 'sha256:';

/** Bytes that the record of a content of this size has at most: bounds what a receiver takes for it. */
export function maxRecipeBytes(size: number): number {
  return header.length + entryBytes * Math.ceil(size / minChunkBytes);
}

export function encodeRecipe(recipe: Recipe): Buffer {
  const record = Buffer.alloc(header.length + entryBytes * recipe.length);
  header.copy(record);
  for (const [index, chunk] of recipe.entries()) {
    const at = header.length + entryBytes * index;
    record.write(chunk.digest.slice(prefix.length), at, 'hex');
    record.writeUInt32BE(chunk.size, at + digestBytes);
  }
  return record;
}

/**
 * Throws `context-invalid` unless the record can be that of a chunked content of this size. Whether the chunks make the
 * digest shows only when they are read.
 */
export function decodeRecipe(
  content: { readonly digest: Digest; readonly size: number },
  record: Buffer,
): Recipe {
  if (!record.subarray(0, header.length).equals(header))
    throw invalid(content.digest, 'is of an unknown form');
  if (record.length > maxRecipeBytes(content.size) || (record.length - header.length) % entryBytes !== 0) {
    throw invalid(content.digest, 'has the wrong length');
  }
  const recipe = chunksOf(record);
  if (recipe.length === 0) throw invalid(content.digest, 'has no chunks');
  for (const [index, { size }] of recipe.entries()) {
    const least = index === recipe.length - 1 ? 1 : minChunkBytes;
    if (size < least || size > maxChunkBytes) throw invalid(content.digest, `has a chunk of ${size} bytes`);
  }
  const sum = recipe.reduce((bytes, chunk) => bytes + chunk.size, 0);
  if (sum !== content.size) throw invalid(content.digest, `makes ${sum} bytes and not ${content.size}`);
  return recipe;
}

/** What a record lists that was found right before. */
export function chunksOf(record: Buffer): Recipe {
  return Array.from({ length: Math.floor((record.length - header.length) / entryBytes) }, (_, index) => {
    const at = header.length + entryBytes * index;
    return {
      digest: prefix + record.toString('hex', at, at + digestBytes),
      size: record.readUInt32BE(at + digestBytes),
    };
  });
}

function invalid(digest: Digest, what: string): ArchfarmError {
  return new ArchfarmError('context-invalid', `the recipe of ${digest} ${what}`, {
    hint: 'use the same version of archfarm on both sides',
  });
}

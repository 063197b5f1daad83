/**
 * The text frames of a transfer. A receiver wants batches; the sender answers each with binary frames that make a tar,
 * whose entries are named by what they hold, and an `end`: more than once where something is slow to come. What it
 * cannot give is `missing`.
 */
import * as v from 'valibot';
import { ArchfarmError, errorCodes, messageOf, type ErrorInfo } from '../errors.ts';
import { maxParts, type Part } from './pieces.ts';
import type { Digest } from './tree.ts';

/** No text frame is longer. */
export const maxTextBytes = 1024 * 1024;
/** Items of one batch: keeps its frame small and what waits behind it short. */
export const maxBatchItems = 256;

interface WantedWhole {
  /** A recipe is named by the content that it makes, and so is the list of the pieces of its record. */
  readonly kind: 'blob' | 'directory' | 'recipe' | 'recipe-pieces';
  readonly digest: Digest;
  /** Bytes of the content; 0 for a directory, whose record's size only the sender knows. */
  readonly size: number;
  /** Where a blob goes on that was cut; 0 else. */
  readonly offset: number;
}

/** A chunk of a content: all that it takes to look whether it may be given, and to find it. */
interface ChunkPlace {
  readonly digest: Digest;
  readonly size: number;
  /** Where the chunk begins in its content. */
  readonly offset: number;
  /** Digest and bytes of that content. */
  readonly of: Digest;
  readonly ofSize: number;
}

export interface WantedChunk extends ChunkPlace {
  readonly kind: 'chunk' | 'chunk-pieces';
}

/** Bytes of a chunk, one part after the other. */
interface WantedChunkParts extends ChunkPlace {
  readonly kind: 'chunk-parts';
  readonly parts: readonly Part[];
}

/** Bytes of the record of a recipe. */
interface WantedRecipeParts extends Omit<WantedWhole, 'kind'> {
  readonly kind: 'recipe-parts';
  readonly parts: readonly Part[];
}

export type WantedItem = WantedWhole | WantedChunk | WantedChunkParts | WantedRecipeParts;

/** The content of the context that an item is, or belongs to. */
export function contentOf(item: WantedItem): Digest {
  return 'of' in item ? item.of : item.digest;
}

/** Only a sender that has said so gives pieces and parts. */
export function isOfPieces(kind: WantedItem['kind']): boolean {
  return kind.endsWith('-pieces') || kind.endsWith('-parts');
}

export interface Want {
  readonly type: 'want';
  /** Counted up on each connection. */
  readonly batch: number;
  /** Overtakes batches that are not. */
  readonly urgent: boolean;
  readonly items: readonly WantedItem[];
}

export type Answer =
  | { readonly type: 'missing'; readonly batch: number; readonly item: string; readonly error: ErrorInfo }
  /** With `more`, the tar ends and another of the same batch follows, with what is not yet at hand. */
  | { readonly type: 'end'; readonly batch: number; readonly more?: boolean | undefined };

/** How an item is called in a tar and in an answer: `blob/sha256:…`. */
export function itemName(item: { readonly kind: string; readonly digest: Digest }): string {
  return `${item.kind}/${item.digest}`;
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a digest'));
const errorCode = v.picklist(errorCodes, 'unknown error code');

const wholeFields = { digest, size: count, offset: count };
const chunkFields = { ...wholeFields, of: digest, ofSize: count };
const parts = v.pipe(v.array(v.tuple([count, count])), v.minLength(1), v.maxLength(maxParts));

const wantedItem = v.variant('kind', [
  v.strictObject({ kind: v.picklist(['blob', 'directory', 'recipe', 'recipe-pieces']), ...wholeFields }),
  v.strictObject({ kind: v.picklist(['chunk', 'chunk-pieces']), ...chunkFields }),
  v.strictObject({ kind: v.literal('recipe-parts'), ...wholeFields, parts }),
  v.strictObject({ kind: v.literal('chunk-parts'), ...chunkFields, parts }),
]);

export const wantSchema = v.strictObject({
  type: v.literal('want'),
  batch: count,
  urgent: v.boolean(),
  items: v.pipe(v.array(wantedItem), v.minLength(1), v.maxLength(maxBatchItems)),
});

export const answerSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('missing'),
    batch: count,
    item: v.pipe(v.string(), v.maxLength(100)),
    error: v.strictObject({
      code: errorCode,
      message: v.pipe(v.string(), v.maxLength(65_536)),
      hint: v.optional(v.pipe(v.string(), v.maxLength(65_536))),
    }),
  }),
  v.strictObject({ type: v.literal('end'), batch: count, more: v.optional(v.boolean()) }),
]);

/** Throws `protocol`. */
export function decodeWant(frame: Buffer): Want {
  return decode(wantSchema, frame);
}

/** Throws `protocol`. */
export function decodeAnswer(frame: Buffer): Answer {
  return decode(answerSchema, frame);
}

function decode<Schema extends v.GenericSchema>(schema: Schema, frame: Buffer): v.InferOutput<Schema> {
  if (frame.length > maxTextBytes) throw new ArchfarmError('protocol', 'a text frame that is too long');
  let value: unknown;
  try {
    value = JSON.parse(frame.toString('utf8'));
  } catch (error) {
    throw new ArchfarmError('protocol', `a text frame that is not JSON: ${messageOf(error)}`);
  }
  const result = v.safeParse(schema, value);
  if (!result.success)
    throw new ArchfarmError('protocol', `a malformed message: ${result.issues[0].message}`);
  return result.output;
}

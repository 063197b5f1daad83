/**
 * A chunk or the record of a recipe, cut once more and much smaller: whoever has one that is nearly the same sees by the
 * list of pieces which bytes it lacks, and asks for these parts alone.
 *
 * Record: `archfarm pieces 1` and NUL, then for each piece the first 8 bytes of its sha256 and its size (16 bits, big
 * endian). The number changes with this form and with the rules by which pieces are cut.
 */
import { ArchfarmError } from '../errors.ts';
import { Chunker, type CutRules } from './chunker.ts';

export interface Piece {
  /** The first 8 bytes of its sha256, in hex: enough to find it, since what is put together is verified as a whole. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
}

/** From where to where a content is wanted: offset and bytes. */
export type Part = readonly [offset: number, size: number];

/** Parts of one content that are asked for at a time. */
export const maxParts = 64;

/**
 * One cut in 2 KiB, wherever the top 11 bits are zero: with a strict mask before the average, as chunks have, the cuts of
 * old and new fall together again only several pieces after an edit.
 */
const pieceRules: CutRules = {
  least: 256,
  average: 2048,
  most: 8 * 1024,
  strictMask: ~0 << 21,
  laxMask: ~0 << 21,
};
const header = Buffer.from('archfarm pieces 1\0');
const idBytes = 8;
const entryBytes = idBytes + 2;
const idStart = 'sha256:'.length;

export function cutPieces(content: Buffer): readonly Piece[] {
  const chunker = new Chunker(pieceRules);
  chunker.push(content);
  return chunker
    .finish()
    .map(({ digest, size }) => ({ id: digest.slice(idStart, idStart + 2 * idBytes), size }));
}

/** Bytes that the record has at most of a content of this size. */
export function maxPiecesBytes(size: number): number {
  return header.length + entryBytes * Math.ceil(size / pieceRules.least);
}

export function encodePieces(pieces: readonly Piece[]): Buffer {
  const record = Buffer.alloc(header.length + entryBytes * pieces.length);
  header.copy(record);
  for (const [index, { id, size }] of pieces.entries()) {
    const at = header.length + entryBytes * index;
    record.write(id, at, 'hex');
    record.writeUInt16BE(size, at + idBytes);
  }
  return record;
}

/** Throws `context-invalid` unless these can be the pieces of a content of at most so many bytes. */
export function decodePieces(record: Buffer, maxBytes: number): readonly Piece[] {
  if (!record.subarray(0, header.length).equals(header)) throw invalid('is of an unknown form');
  if (record.length > maxPiecesBytes(maxBytes) || (record.length - header.length) % entryBytes !== 0)
    throw invalid('has the wrong length');
  const pieces: Piece[] = [];
  let bytes = 0;
  for (let at = header.length; at < record.length; at += entryBytes) {
    const size = record.readUInt16BE(at + idBytes);
    const isLast = at + entryBytes === record.length;
    if (size < (isLast ? 1 : pieceRules.least) || size > pieceRules.most)
      throw invalid(`has a piece of ${size} bytes`);
    bytes += size;
    pieces.push({ id: record.toString('hex', at, at + idBytes), size });
  }
  if (bytes === 0 || bytes > maxBytes) throw invalid(`makes ${bytes} bytes, where ${maxBytes} are the most`);
  return pieces;
}

/** The record of the pieces of a content. */
export function piecesOf(content: Buffer): Buffer {
  return encodePieces(cutPieces(content));
}

/** The parts of the content, one after the other. Throws `protocol` for what lies outside of it. */
export function partsOf(content: Buffer, parts: readonly Part[]): Buffer {
  let end = 0;
  for (const [offset, size] of parts) {
    if (offset < end || size === 0 || offset + size > content.length)
      throw new ArchfarmError(
        'protocol',
        `${size} bytes were wanted from byte ${offset} of ${content.length}`,
      );
    end = offset + size;
  }
  return Buffer.concat(parts.map(([offset, size]) => content.subarray(offset, offset + size)));
}

/** Bytes of all parts. */
export function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, [, size]) => sum + size, 0);
}

function invalid(what: string): ArchfarmError {
  return new ArchfarmError('context-invalid', `a list of pieces ${what}`, {
    hint: 'use the same version of archfarm on both sides',
  });
}

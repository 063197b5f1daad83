/** A build's log on disk: one frame a line. Written and read in whole lines. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Frame } from '../../shared/progress.ts';
import { numberOf } from './log-line.ts';

const newline = 0x0a;
const pieceSize = 256 * 1024;

/** Appends whole lines at `offset`, or nothing: what a full disk left of them is taken back. */
export function appendLines(path: string, bytes: Buffer, offset: number): number {
  const file = openSync(path, 'a', 0o600);
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
    return offset + bytes.length;
  } catch (thrown) {
    ftruncateSync(file, offset);
    throw thrown;
  } finally {
    closeSync(file);
  }
}

/** The last frame, without reading the rest; undefined where the end is empty or torn. */
export function lastFrame(path: string): { readonly frame: Frame; readonly size: number } | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    // A result that tells of many failures is longer than what is read of other logs.
    for (let length = Math.min(size, pieceSize); ; length = Math.min(size, 2 * length)) {
      const tail = Buffer.alloc(length);
      readSync(file, tail, 0, length, size - length);
      if (tail.at(-1) !== newline) return undefined;
      const start = tail.lastIndexOf(newline, -2) + 1;
      if (start === 0 && length < size) continue;
      const frame = parseFrame(tail.toString('utf8', start));
      return frame && { frame, size };
    }
  } finally {
    closeSync(file);
  }
}

/** Whole lines of a file. */
export interface Piece {
  readonly start: number;
  readonly bytes: Buffer;
}

export interface Reading {
  /** Bytes of whole lines in the file; may grow. */
  readonly end: () => number;
  /** Number of the last frame that is not wanted. */
  readonly after: number;
  /** The last of these bytes, if they are at hand: whoever keeps up needs no file. */
  readonly recent: () => Piece | undefined;
  /** Once all is read: whether to go on. */
  readonly more: () => Promise<boolean>;
}

/** The lines of frames beyond `after`, as they lie there, several in a piece. */
export async function* readLines(
  path: string,
  { end, after, recent, more }: Reading,
): AsyncGenerator<Buffer> {
  await using file = new LazyFile(path);
  let position = after > 0 ? await startOf(await file.handle(), { end: end(), after }) : 0;
  let length = pieceSize;
  for (let skipping = after > 0; ;) {
    const left = end() - position;
    if (left === 0) {
      if (await more()) continue;
      return;
    }
    const kept = recent();
    let whole: Buffer;
    if (kept !== undefined && kept.start <= position) whole = kept.bytes.subarray(position - kept.start);
    else {
      // Never the same memory twice: whoever is given it may still be sending it.
      const piece = Buffer.allocUnsafe(Math.min(length, left));
      const { bytesRead } = await (await file.handle()).read(piece, 0, piece.length, position);
      if (bytesRead === 0) return;
      whole = piece.subarray(0, piece.lastIndexOf(newline, bytesRead - 1) + 1);
      if (whole.length === 0) {
        length *= 2;
        continue;
      }
      length = pieceSize;
    }
    position += whole.length;
    const wanted = skipping ? linesAfter(whole, after) : whole;
    if (wanted.length === 0) continue;
    skipping = false;
    yield wanted;
  }
}

class LazyFile implements AsyncDisposable {
  readonly #path: string;
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async handle(): Promise<FileHandle> {
    this.#handle ??= await open(this.#path, 'r');
    return this.#handle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
  }
}

/** A place at or before the first line beyond `after`, and near it: who resumes a long log need not read all of it. */
async function startOf(file: FileHandle, { end, after }: { end: number; after: number }): Promise<number> {
  let start = 0;
  const piece = Buffer.allocUnsafe(pieceSize);
  for (let stop = end; stop - start > pieceSize;) {
    const middle = Math.floor((start + stop) / 2);
    const { bytesRead } = await file.read(piece, 0, Math.min(pieceSize, stop - middle), middle);
    const line = piece.subarray(0, bytesRead).indexOf(newline) + 1;
    const number = line === 0 ? Number.NaN : numberOf(piece.subarray(line, bytesRead));
    if (number <= after) start = middle + line;
    else stop = middle;
  }
  return start;
}

function linesAfter(lines: Buffer, after: number): Buffer {
  let start = 0;
  while (start < lines.length && !(numberOf(lines.subarray(start)) > after)) {
    start = lines.indexOf(newline, start) + 1;
  }
  return lines.subarray(start);
}

/** A power cut can leave zeros where a line was to be. */
function parseFrame(line: string): Frame | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

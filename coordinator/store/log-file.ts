/** A build's log on disk: one frame a line. Finds its end again after a crash, and reads it in pieces. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Frame } from '../../shared/progress.ts';

const newline = 0x0a;
const pieceSize = 256 * 1024;

/** Appends whole lines at `offset`, or nothing: what a full disk left of them is taken back. */
export function appendLines(path: string, lines: string, offset: number): number {
  const bytes = Buffer.from(lines);
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

/** Gives every frame to `see`, and cuts off what a crash left unfinished after them. Returns the bytes kept. */
export function recoverLines(path: string, see: (frame: Frame) => void): number {
  const file = openSync(path, 'a+', 0o600);
  try {
    const { size } = fstatSync(file);
    let whole = 0;
    for (const line of readLinesNow(file, size)) {
      const frame = parseFrame(line.toString());
      if (frame === undefined) break;
      see(frame);
      whole += line.length + 1;
    }
    if (whole < size) ftruncateSync(file, whole);
    return whole;
  } finally {
    closeSync(file);
  }
}

/** The last frame, without reading the rest; undefined where the end is empty, torn or a very long line. */
export function lastFrame(path: string): { readonly frame: Frame; readonly size: number } | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(size, pieceSize));
    readSync(file, tail, 0, tail.length, size - tail.length);
    const start = tail.lastIndexOf(newline, -2) + 1;
    const isWhole = tail.at(-1) === newline && (start > 0 || tail.length === size);
    const frame = isWhole ? parseFrame(tail.toString('utf8', start)) : undefined;
    return frame && { frame, size };
  } finally {
    closeSync(file);
  }
}

/** The whole lines in the first `end()` bytes. Once they are read, `more` says whether to go on. */
export async function* readLines(
  path: string,
  { end, more }: { end: () => number; more: () => Promise<boolean> },
): AsyncGenerator<Buffer> {
  await using file = await open(path, 'r');
  const lines = new LineSplitter();
  const piece = Buffer.allocUnsafe(pieceSize);
  let position = 0;
  for (;;) {
    const length = Math.min(piece.length, end() - position);
    if (length === 0) {
      if (await more()) continue;
      return;
    }
    const { bytesRead } = await file.read(piece, 0, length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield* lines.push(piece.subarray(0, bytesRead));
  }
}

function* readLinesNow(file: number, size: number): Generator<Buffer> {
  const lines = new LineSplitter();
  const piece = Buffer.allocUnsafe(pieceSize);
  for (let position = 0; position < size;) {
    const read = readSync(file, piece, 0, piece.length, position);
    if (read === 0) return;
    position += read;
    yield* lines.push(piece.subarray(0, read));
  }
}

/** A power cut can leave zeros where a line was to be. */
function parseFrame(line: string): Frame | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Lines of a byte stream, without their newlines. */
class LineSplitter {
  #rest: Buffer[] = [];

  *push(piece: Buffer): Generator<Buffer> {
    let start = 0;
    for (let at = piece.indexOf(newline); at !== -1; at = piece.indexOf(newline, start)) {
      yield Buffer.concat([...this.#rest, piece.subarray(start, at)]);
      this.#rest = [];
      start = at + 1;
    }
    // A copy, as the caller reads into the same piece again.
    if (start < piece.length) this.#rest.push(Buffer.from(piece.subarray(start)));
  }
}

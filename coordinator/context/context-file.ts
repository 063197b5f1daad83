/** Reading a file of a context that must stay as it was when the tree was made: a build must not see half an edit. */
import { createHash } from 'node:crypto';
import {
  close,
  closeSync,
  constants,
  fstat,
  fstatSync,
  open,
  openSync,
  read,
  readSync,
  type BigIntStats,
} from 'node:fs';
import { promisify } from 'node:util';
import type { Digest } from '../../shared/context/tree.ts';
import { changed, fileError } from './file-error.ts';

/** A file as the scan found it. */
export interface ContextFile {
  /** Absolute. */
  readonly path: string;
  /** From the root of the context, for messages. */
  readonly name: string;
  readonly size: number;
  /** Nanoseconds since 1970; undefined for what only this process writes. */
  readonly mtime: bigint | undefined;
  /** Where the content begins in a file that holds several. */
  readonly start?: number;
}

/** Files up to so many bytes are read at once. */
export const smallFileBytes = 128 * 1024;

const pieceBytes = 256 * 1024;

/** Half the price of `node:fs/promises`, which shows where there are 100,000 files. */
const files = {
  open: promisify(open),
  read: promisify(read),
  stat: promisify(fstat),
  close: promisify(close),
};
/** Not through a link, and not waiting for a pipe, that may have come in its place. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Fills the buffer with the file's bytes from `from` on, without leaving this thread. Throws `context-changed` when the
 * file is not what the scan found, `context-invalid` when it may not be read; so do the others.
 */
export function readDirectly(file: ContextFile, into: Buffer, from = 0): Buffer {
  try {
    const descriptor = openSync(file.path, flags);
    try {
      for (let at = 0; at < into.length;) {
        const bytes = readSync(descriptor, into, at, into.length - at, (file.start ?? 0) + from + at);
        if (bytes === 0) throw changed(file.name);
        at += bytes;
      }
      if (file.mtime !== undefined) checkUnchanged(file, fstatSync(descriptor, { bigint: true }));
      return into;
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw fileError(error, file.name);
  }
}

/** The same in the thread pool. */
export async function readPart(file: ContextFile, into: Buffer, from = 0): Promise<Buffer> {
  try {
    const descriptor = await files.open(file.path, flags);
    try {
      await fill(descriptor, into, { file, from });
      if (file.mtime !== undefined) checkUnchanged(file, await files.stat(descriptor, { bigint: true }));
      return into;
    } finally {
      await files.close(descriptor);
    }
  } catch (error) {
    throw fileError(error, file.name);
  }
}

/** All of it in pieces, each valid until the next: one is read while another is in use. */
export async function* readPieces(file: ContextFile, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const descriptor = await files.open(file.path, flags);
    let reading: Promise<Buffer> | undefined;
    try {
      const buffers = [0, 1].map(() => Buffer.allocUnsafe(Math.min(pieceBytes, file.size)));
      const next = (at: number): Promise<Buffer> | undefined => {
        const [buffer = Buffer.alloc(0)] = buffers;
        buffers.reverse();
        const bytes = Math.min(buffer.length, file.size - at);
        return bytes === 0 ? undefined : fill(descriptor, buffer.subarray(0, bytes), { file, from: at });
      };
      reading = next(0);
      for (let at = 0; reading !== undefined;) {
        const piece: Buffer = await reading;
        signal.throwIfAborted();
        at += piece.length;
        reading = next(at);
        reading?.catch(() => {});
        yield piece;
      }
      if (file.mtime !== undefined) checkUnchanged(file, await files.stat(descriptor, { bigint: true }));
    } finally {
      // What is under way must not find another file under its descriptor.
      await reading?.catch(() => {});
      await files.close(descriptor);
    }
  } catch (error) {
    throw fileError(error, file.name);
  }
}

/** The content from an offset on. Its last piece is given only when all of it has been found to have the digest. */
export async function* readFileUnchanged(
  file: ContextFile,
  {
    digest,
    offset,
    signal,
  }: { readonly digest: Digest; readonly offset: number; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let left = offset;
  let held: Buffer | undefined;
  // What comes before the offset is read too: the digest is of the whole.
  for await (const piece of readPieces(file, signal)) {
    hash.update(piece);
    const rest = piece.subarray(Math.min(left, piece.length));
    left -= piece.length - rest.length;
    if (rest.length === 0) continue;
    if (held !== undefined) yield held;
    held = Buffer.from(rest);
  }
  if (`sha256:${hash.digest('hex')}` !== digest) throw changed(file.name);
  if (held !== undefined) yield held;
}

async function fill(
  descriptor: number,
  into: Buffer,
  { file, from }: { readonly file: ContextFile; readonly from: number },
): Promise<Buffer> {
  for (let at = 0; at < into.length;) {
    const position = (file.start ?? 0) + from + at;
    const { bytesRead } = await files.read(descriptor, into, at, into.length - at, position);
    if (bytesRead === 0) throw changed(file.name);
    at += bytesRead;
  }
  return into;
}

function checkUnchanged(file: ContextFile, { size, mtimeNs }: BigIntStats): void {
  if (size !== BigInt(file.size) || mtimeNs !== file.mtime) throw changed(file.name);
}

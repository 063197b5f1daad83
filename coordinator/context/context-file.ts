/** Reading a file of a context that must stay as it was when the tree was made: a build must not see half an edit. */
import { createHash } from 'node:crypto';
import { close, constants, fstat, open, read as readBytes } from 'node:fs';
import { promisify } from 'node:util';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';

/** A file as the scan found it. */
export interface ContextFile {
  /** Absolute. */
  readonly path: string;
  /** From the root of the context, for messages. */
  readonly name: string;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

const chunkBytes = 128 * 1024;

/** Half the price of `node:fs/promises`, which shows where there are 100,000 files. */
const files = {
  open: promisify(open),
  read: promisify(readBytes),
  stat: promisify(fstat),
  close: promisify(close),
};

/** Throws `context-changed` when it is not what the scan found, `context-invalid` when it may not be read. */
export async function hashFile(file: ContextFile, signal: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of read(file, signal)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** The content from an offset on. Its last chunk is given only when all of it has been found to have the digest. */
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
  for await (const chunk of read(file, signal)) {
    hash.update(chunk);
    const rest = chunk.subarray(Math.min(left, chunk.length));
    left -= chunk.length - rest.length;
    if (rest.length === 0) continue;
    if (held !== undefined) yield held;
    held = rest;
  }
  if (`sha256:${hash.digest('hex')}` !== digest) throw changed(file);
  if (held !== undefined) yield held;
}

/** What went wrong with a path of a context, as its user should hear it. */
export function fileError(error: unknown, name: string): Error {
  if (error instanceof ArchfarmError) return error;
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return new ArchfarmError('context-invalid', `cannot read ${JSON.stringify(name)}: permission denied`, {
        hint: 'make it readable or leave it out with .dockerignore',
        cause: error,
      });
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
      return changed({ name });
    case undefined:
      return error instanceof Error ? error : new Error(String(error));
    default:
      return new ArchfarmError(
        'context-invalid',
        `cannot read ${JSON.stringify(name)}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
  }
}

async function* read(file: ContextFile, signal: AbortSignal): AsyncGenerator<Buffer> {
  const descriptor = await openFile(file);
  try {
    for (let at = 0; at < file.size;) {
      signal.throwIfAborted();
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, file.size - at));
      const { bytesRead } = await files.read(descriptor, chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw changed(file);
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
    const { size, mtimeNs } = await files.stat(descriptor, { bigint: true });
    if (size !== BigInt(file.size) || mtimeNs !== file.mtime) throw changed(file);
  } catch (error) {
    throw fileError(error, file.name);
  } finally {
    await files.close(descriptor);
  }
}

async function openFile(file: ContextFile): Promise<number> {
  try {
    // Not through a link, and not waiting for a pipe, that may have come in its place.
    return await files.open(file.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(error, file.name);
  }
}

function changed({ name }: Pick<ContextFile, 'name'>): ArchfarmError {
  return new ArchfarmError('context-changed', `${JSON.stringify(name)} changed while the context was read`, {
    hint: 'build again once nothing writes to it, or leave it out with .dockerignore',
  });
}

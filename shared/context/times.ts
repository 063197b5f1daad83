/**
 * Modification times of a tree. They are no part of its digest, so that directories with equal contents may differ in
 * them: those of each directory are a content by itself, found and sent like that of a file, and lead on to those of the
 * directories in it.
 *
 * Encoding: `archfarm times 1` and NUL, then for each entry of the directory its modification time in nanoseconds since
 * 1970 (64 bits, signed, big endian), then for each directory among them, in their order, the sha256 (32 bytes) and the
 * length (32 bits, big endian) of that one's times.
 */
import { buffer } from 'node:stream/consumers';
import { ArchfarmError } from '../errors.ts';
import { maxRecordBytes } from './encoding.ts';
import type { ContextSource, Directory, TimesId } from './tree.ts';

/** Raised with every change of the encoding. */
export const timesHeader = Buffer.from('archfarm times 1\0');
export const mtimeBytes = 8;
export const digestBytes = 32;
/** Digest and length of the times of a directory. */
export const belowBytes = digestBytes + 4;
const prefix = 'sha256:';

/** Of the entries of one directory. */
export class Times {
  readonly #bytes: Buffer;
  readonly #entries: number;

  /** Throws `context-invalid` unless the bytes are times of as many entries and directories. */
  constructor(bytes: Buffer, { entries }: Directory) {
    const directories = entries.reduce((count, { type }) => count + (type === 'directory' ? 1 : 0), 0);
    const length = timesHeader.length + mtimeBytes * entries.length + belowBytes * directories;
    if (bytes.length !== length || !bytes.subarray(0, timesHeader.length).equals(timesHeader)) {
      throw new ArchfarmError(
        'context-invalid',
        'not a valid tree: times that are not those of the directory',
      );
    }
    this.#bytes = bytes;
    this.#entries = entries.length;
  }

  /** Nanoseconds since 1970 of the entry with this number. */
  mtime(entry: number): bigint {
    return this.#bytes.readBigInt64BE(timesHeader.length + mtimeBytes * entry);
  }

  /** Where those of a directory are, by its number among the directories alone. */
  below(directory: number): TimesId {
    const at = timesHeader.length + mtimeBytes * this.#entries + belowBytes * directory;
    return {
      digest: prefix + this.#bytes.toString('hex', at, at + digestBytes),
      size: this.#bytes.readUInt32BE(at + digestBytes),
    };
  }
}

/** Of the entries of one directory in their order, and of the directories among them in theirs. */
export function encodeTimes(mtimes: readonly bigint[], below: readonly TimesId[]): Buffer {
  const belowAt = timesHeader.length + mtimeBytes * mtimes.length;
  const bytes = Buffer.alloc(belowAt + belowBytes * below.length);
  timesHeader.copy(bytes);
  for (const [index, mtime] of mtimes.entries()) {
    bytes.writeBigInt64BE(mtime, timesHeader.length + mtimeBytes * index);
  }
  for (const [index, id] of below.entries()) putBelow(bytes, belowAt + belowBytes * index, id);
  return bytes;
}

export function putBelow(bytes: Buffer, at: number, { digest, size }: TimesId): void {
  bytes.write(digest.slice(prefix.length), at, 'hex');
  bytes.writeUInt32BE(size, at + digestBytes);
}

/** Their bytes; `Times` checks them. Throws `context-invalid` when they are larger than a directory is described in. */
export async function readTimes(
  { digest, size }: TimesId,
  source: Pick<ContextSource, 'blob'>,
  signal: AbortSignal,
): Promise<Buffer> {
  if (size > maxRecordBytes) {
    throw new ArchfarmError('context-invalid', `not a valid tree: ${size} bytes of times of one directory`);
  }
  return buffer(await source.blob(digest, size, signal));
}

/** Whether these bytes, found by this digest, are those of a directory's times and not its record. */
export function areTimes(bytes: Buffer): boolean {
  return bytes.subarray(0, timesHeader.length).equals(timesHeader);
}

/**
 * A directory in one piece of memory: the length of its record (32 bits), the record, its times. Single entries are read
 * by where their digest begins, which is the last field of an entry: what a tree of hundreds of thousands of files is made
 * of lies in the records already. Their forms are those of encoding.ts and times.ts.
 */
import { mtimeBytes, timesHeader } from '../../shared/context/times.ts';

/** Bytes of a mode in octal digits, between two NULs. */
const modeBytes = 6;
/** Before the record. */
export const lengthBytes = 4;

/** Of a file's entry. */
export function fileAt(
  record: Buffer,
  digestStart: number,
): { readonly name: string; readonly size: number } {
  const sizeStart = fieldStart(record, digestStart - 1);
  return {
    name: nameBefore(record, sizeStart - modeBytes),
    size: Number(record.toString('latin1', sizeStart, digestStart - 1)),
  };
}

/** Of a directory's entry. */
export function directoryNameAt(record: Buffer, digestStart: number): string {
  return nameBefore(record, digestStart - modeBytes);
}

/** In 64 hex digits. */
export function hexDigestAt(record: Buffer, digestStart: number): string {
  return record.toString('latin1', digestStart, digestStart + 64);
}

/** Nanoseconds since 1970 of the entry with this number. */
export function mtimeOf(bytes: Buffer, entry: number): bigint {
  return bytes.readBigInt64BE(timesStart(bytes) + timesHeader.length + entry * mtimeBytes);
}

export function recordOf(bytes: Buffer): Buffer {
  return bytes.subarray(lengthBytes, timesStart(bytes));
}

export function timesOf(bytes: Buffer): Buffer {
  return bytes.subarray(timesStart(bytes));
}

function timesStart(bytes: Buffer): number {
  return lengthBytes + bytes.readUInt32BE();
}

function nameBefore(record: Buffer, end: number): string {
  return record.toString('utf8', fieldStart(record, end), end);
}

function fieldStart(record: Buffer, end: number): number {
  return record.lastIndexOf(0, end - 1) + 1;
}

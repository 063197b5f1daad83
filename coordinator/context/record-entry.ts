/**
 * Reads single entries of a directory's record by where their digest begins, which is the last field of an entry: what
 * a tree of hundreds of thousands of files is made of lies in the records already. Their form is that of encoding.ts.
 */

/** Bytes of a mode in octal digits, between two NULs. */
const modeBytes = 6;
const lengthBytes = 4;
const mtimeBytes = 8;

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
export function mtimeOf(record: Buffer, entry: number): bigint {
  return record.readBigInt64BE(lengthBytes + record.readUInt32BE() + entry * mtimeBytes);
}

/** What a directory's digest is the digest of. */
export function encodingOf(record: Buffer): Buffer {
  return record.subarray(lengthBytes, lengthBytes + record.readUInt32BE());
}

function nameBefore(record: Buffer, end: number): string {
  return record.toString('utf8', fieldStart(record, end), end);
}

function fieldStart(record: Buffer, end: number): number {
  return record.lastIndexOf(0, end - 1) + 1;
}

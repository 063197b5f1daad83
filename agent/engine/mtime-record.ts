/** The file format of a record of served modification times: a header line, then a line for each entry. */
import * as v from 'valibot';
import type { Digest } from '../../shared/context/tree.ts';
import { isDigest } from '../../shared/reference.ts';

export interface RecordEntry {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly digest: Digest;
}

export interface DecodedRecord {
  readonly generation: string;
  /** In the order they were served. */
  readonly entries: readonly RecordEntry[];
  /** Bytes of whole lines; what follows is a line that was cut off while it was written. */
  readonly length: number;
}

const headerSchema = v.strictObject({
  version: v.literal(1),
  generation: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
});

const entrySchema = v.strictTuple([
  v.string(),
  v.pipe(v.number(), v.integer(), v.minValue(0)),
  v.pipe(v.number(), v.integer(), v.minValue(0)),
  v.pipe(v.string(), v.regex(/^-?\d{1,20}$/)),
  v.pipe(v.string(), v.check(isDigest)),
]);

export function encodeHeader(generation: string): string {
  return `${JSON.stringify({ version: 1, generation })}\n`;
}

export function encodeEntry({ path, mode, size, mtime, digest }: RecordEntry): string {
  return `${JSON.stringify([path, mode, size, String(mtime), digest])}\n`;
}

/** Undefined when any whole line is not what was written. */
export function decodeRecord(bytes: Buffer): DecodedRecord | undefined {
  const length = bytes.lastIndexOf('\n') + 1;
  const [header = '', ...lines] = bytes.toString('utf8', 0, length).split('\n').slice(0, -1);
  try {
    const { generation } = v.parse(headerSchema, JSON.parse(header));
    const entries = lines.map((line) => {
      const [path, mode, size, mtime, digest] = v.parse(entrySchema, JSON.parse(line));
      return { path, mode, size, mtime: BigInt(mtime), digest };
    });
    return { generation, entries, length };
  } catch {
    return undefined;
  }
}

/** What is free where an agent keeps what it works with, as it tells the coordinator for display. */
import * as v from 'valibot';

export interface DiskSpace {
  /** The directory that it was asked of. */
  readonly path: string;
  /** Bytes that a process without privileges may still write. */
  readonly free: number;
  /** Bytes of the whole file system. */
  readonly size: number;
}

const bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const diskSpacesSchema = v.pipe(
  v.array(v.strictObject({ path: v.pipe(v.string(), v.maxLength(4096)), free: bytes, size: bytes })),
  v.maxLength(16),
) satisfies v.GenericSchema<unknown, readonly DiskSpace[]>;

/** How large a store is and how often it could help: what agents and the coordinator report of theirs. */
import * as v from 'valibot';
import { formatSize } from '../size.ts';

/** Counts are since the store was opened by its process. */
export interface StoreUsage {
  /** On disk, with what other processes stored, as far as known. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Contents and directories that were asked for and here. */
  readonly hits: number;
  readonly hitBytes: number;
  /** Those that were not, and came. */
  readonly misses: number;
  readonly missBytes: number;
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const storeUsageSchema = v.object({
  bytes: count,
  maxBytes: count,
  hits: count,
  hitBytes: count,
  misses: count,
  missBytes: count,
}) satisfies v.GenericSchema<unknown, StoreUsage>;

/** `1.2 GB, 97 % here`: the share is that of the bytes that were asked for. */
export function formatStoreUsage({ bytes, hitBytes, missBytes }: StoreUsage): string {
  const asked = hitBytes + missBytes;
  // What is not complete is not shown as complete.
  const share = asked === 0 ? '' : `, ${Math.floor((100 * hitBytes) / asked)} % here`;
  return `${formatSize(bytes)}${share}`;
}

/** Names of builds: short, lower case, safe in paths, and sorted by time. */
import { randomInt } from 'node:crypto';

/** Crockford's: no letter that reads like a digit. In ASCII order, so that names sort as their numbers do. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const timeLength = 8;
const randomLength = 5;
/** 2025-01-01. Eight characters of milliseconds last from there to 2059. */
const epoch = 1_735_689_600_000;

export function newBuildId(at: number): string {
  return firstIdAt(at) + encode(randomInt(32 ** randomLength), randomLength);
}

/** Not after any id that was given at that time, and after every id from before. */
export function firstIdAt(at: number): string {
  return encode(Math.max(0, Math.floor(at) - epoch), timeLength);
}

function encode(number: number, length: number): string {
  return Array.from(
    { length },
    (_, index) => alphabet[Math.floor(number / 32 ** (length - 1 - index)) % 32],
  ).join('');
}

/** Numbers of bytes as people write and read them. */
import { ArchfarmError } from './errors.ts';

const units: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['kB', 1000],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['TB', 1000 ** 4],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

/** Reads `40GiB`, `1.5 MB` or `4096` as bytes; throws `usage`. */
export function parseSize(text: string): number {
  const [, amount = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const bytes = Math.round(Number(amount) * (units.get(unit) ?? Number.NaN));
  if (amount !== '' && Number.isSafeInteger(bytes)) return bytes;
  throw new ArchfarmError('usage', `${JSON.stringify(text)} is not a size`, {
    hint: 'write it like 500MB, 20GiB or 4096 (bytes)',
  });
}

/** `0 B`, `640 B`, `1.2 kB`, `97 MB`, `1.2 GB`: two digits, in powers of 1000. */
export function formatSize(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < names.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const shown = unit > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0);
  return `${shown} ${names[unit]}`;
}

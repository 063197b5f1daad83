/** Durations as people write and read them. */
import { ArchfarmError } from './errors.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Beyond this a timer of Node fires at once. */
const longest = 2 ** 31 - 1;

/** Reads `15s`, `2m`, `1h30m`, `500ms` as milliseconds; throws `usage` naming the option. */
export function parseDuration(text: string, option: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const total = parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (units[unit] ?? 0), 0);
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new ArchfarmError('usage', `${option} ${JSON.stringify(text)} is not a duration`, {
      hint: 'write it like 15s, 2m or 1h30m',
    });
  }
  if (total > longest) throw new ArchfarmError('usage', `${option} ${text} is longer than 24 days`);
  return Math.round(total);
}

/** `0.4s`, `12.3s`, `2m05s`, `1h02m`. */
export function formatDuration(milliseconds: number): string {
  const tenths = Math.round(milliseconds / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

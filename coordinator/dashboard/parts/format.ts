/** Figures as people read them, beside those of the command line. */
import { formatDuration } from '../../../shared/duration.ts';

/** Without fractions, for what counts up: `8s`, `2m05s`, `3d`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const days = Math.floor(seconds / 86_400);
  return days > 1 ? `${days}d` : formatDuration(seconds * 1000);
}

/** `14:03:11` of today, else `2026-03-01 14:03`. */
export function formatTime(time: number, now: number): string {
  const date = new Date(time);
  const clock = date.toLocaleTimeString('en-GB');
  if (date.toDateString() === new Date(now).toDateString()) return clock;
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock.slice(0, 5)}`;
}

/** `sha256:9465b2ab0514…` */
export function shortDigest(digest: string): string {
  return digest.length > 19 ? `${digest.slice(0, 19)}…` : digest;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}

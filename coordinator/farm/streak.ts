/** Something that goes wrong again and again, and is tried ever more rarely. */

export interface Streak {
  /** How often in a row it went wrong. */
  length: number;
  /** Since when it is not to be tried, where there is a pause. */
  pausedAt: number;
  /** Until then it is not to be tried again; milliseconds since 1970. */
  pausedUntil: number;
}

/** So many in a row are no chance. */
const long = 3;

export function newStreak(): Streak {
  return { length: 0, pausedAt: 0, pausedUntil: 0 };
}

/** It went wrong once more. A long streak brings a pause, twice as long with each more. Says whether it counts. */
export function lengthen(
  streak: Streak,
  { pause, at }: { readonly pause: { readonly first: number; readonly max: number }; readonly at: number },
): boolean {
  // What had begun before the pause says no more than what brought it.
  if (isPaused(streak, at)) return false;
  streak.length += 1;
  if (isLong(streak)) {
    streak.pausedAt = at;
    streak.pausedUntil = at + doubling(streak.length - long, pause);
  }
  return true;
}

/** It went well, or may from now on. */
export function end(streak: Streak): void {
  streak.length = 0;
  streak.pausedUntil = 0;
}

export function isPaused({ pausedUntil }: Streak, at: number): boolean {
  return at < pausedUntil;
}

export function isLong({ length }: Streak): boolean {
  return length >= long;
}

export function secondsLeft({ pausedUntil }: Streak, at: number): number {
  return Math.ceil((pausedUntil - at) / 1000);
}

/** Milliseconds: `first`, and twice as many with each of `times`, up to `max`. */
export function doubling(times: number, { first, max }: { first: number; max: number }): number {
  return Math.min(first * 2 ** times, max);
}

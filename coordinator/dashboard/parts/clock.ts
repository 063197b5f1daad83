/** The coordinator's time, second by second. */
import { signal } from '@preact/signals';

let ahead = 0;

/** Milliseconds since 1970. */
export const now = signal(Date.now());

export function setClock(at: number): void {
  ahead = at - Date.now();
  tick();
}

function tick(): void {
  if (!document.hidden) now.value = Date.now() + ahead;
}

setInterval(tick, 1000);
document.addEventListener('visibilitychange', tick);

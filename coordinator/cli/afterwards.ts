/** The patience of commands that submit a build: an interrupt must not leave one behind that nobody knows the id of. */

/** Milliseconds that a submission which is under way gets after an interrupt. */
export const submitPatience = 3000;

/** Aborts as `signal` does, but so many milliseconds later. */
export function afterwards(signal: AbortSignal, milliseconds: number): AbortSignal {
  const later = new AbortController();
  const wait = (): unknown => setTimeout(() => later.abort(signal.reason), milliseconds).unref();
  if (signal.aborted) wait();
  else signal.addEventListener('abort', wait, { once: true });
  return later.signal;
}

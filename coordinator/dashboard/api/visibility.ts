/** Whether somebody looks: browsers give a host six connections, whatever the number of its tabs. */

/** Milliseconds: who comes back at once finds everything as it was. */
const patience = 20_000;

/** Resolves once the page is in sight, with a signal that aborts after it has been out of sight for a while. */
export async function pageIsSeen(signal: AbortSignal): Promise<AbortSignal> {
  while (document.hidden && !signal.aborted) await nextChange(signal);
  const hidden = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(leave, patience);
  };
  function leave(): void {
    document.removeEventListener('visibilitychange', look);
    clearTimeout(timer);
    hidden.abort();
  }
  document.addEventListener('visibilitychange', look);
  signal.addEventListener('abort', leave, { once: true });
  return hidden.signal;
}

function nextChange(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      document.removeEventListener('visibilitychange', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    document.addEventListener('visibilitychange', done);
    signal.addEventListener('abort', done);
  });
}

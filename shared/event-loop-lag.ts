/** How late the event loop of this process is: how much later than due a timer of its own runs. */

/** Tells each look's milliseconds, until it is disposed of. `interval` is milliseconds between two looks. */
export function watchEventLoop(interval: number, tell: (late: number) => void): Disposable {
  let due = performance.now() + interval;
  const timer = setInterval(() => {
    const now = performance.now();
    tell(Math.max(0, now - due));
    due = now + interval;
  }, interval).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Gives back what a build has left behind: V8 does not collect by itself in a process that does nothing. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds without a job after which an agent counts as idle. */
const idleAfter = 5000;

export class IdleMemory {
  #timer: NodeJS.Timeout | undefined;

  /** To be called whenever a job begins or ends, with how many there are. */
  jobs(count: number): void {
    clearTimeout(this.#timer);
    if (count === 0) this.#timer = setTimeout(collect, idleAfter).unref();
  }
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
}

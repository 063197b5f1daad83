/** The wall clock of a process, set at will while it runs. Steady clocks go on as they are, as on a real host. */
import { writeFile } from 'node:fs/promises';

export interface SettableClock {
  /** For the process; it is to see the clock through libfaketime. */
  readonly env: NodeJS.ProcessEnv;
  /** Seconds that it is ahead of the true time from now on, within a second; 0 at first. */
  set(ahead: number): Promise<void>;
}

const library = '/usr/$LIB/faketime/libfaketime.so.1';

/** `file` holds what the clock is set to. */
export async function settableClock(file: string): Promise<SettableClock> {
  const set = (ahead: number): Promise<void> => writeFile(file, `${ahead < 0 ? '' : '+'}${ahead}s\n`);
  await set(0);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  };
}

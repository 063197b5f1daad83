/** A directory for what one command needs while it runs: gone with it, also where it is ended before its time. */
import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArchfarmError, messageOf } from '../shared/errors.ts';

export interface Scratch extends AsyncDisposable {
  /** Absolute and without links. */
  readonly path: string;
}

/** Its name begins with `prefix`. Throws `config` where none can be made. */
export async function makeScratch(prefix: string): Promise<Scratch> {
  let path: string;
  try {
    path = await realpath(await mkdtemp(join(tmpdir(), prefix)));
  } catch (error) {
    throw new ArchfarmError('config', `no temporary files can be made in ${tmpdir()}: ${messageOf(error)}`, {
      hint: 'set TMPDIR to a directory that is there and may be written to',
      cause: error,
    });
  }
  const atExit = (): void => {
    try {
      // A process that was started here may still write to it.
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // Whoever cleans up the temporary files will find it.
    }
  };
  process.once('exit', atExit);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      process.off('exit', atExit);
    },
  };
}

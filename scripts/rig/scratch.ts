/** A directory in /tmp that goes with its owner. The path is short, because a unix socket's may have 107 bytes. */
import { mkdtemp, rm } from 'node:fs/promises';

export const scratchRoot = '/tmp';

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

/** The name tells what it is for and whose it is: `/tmp/archfarm-NAME-PID-XXXXXX`. */
export async function scratchDirectory(name: string): Promise<ScratchDirectory> {
  const path = await mkdtemp(`${scratchRoot}/archfarm-${name}-${process.pid}-`);
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** The process that made a scratch directory, by the directory's name. */
export function scratchOwner(name: string): number | undefined {
  const pid = /^archfarm-.+-(\d+)-\w{6}$/.exec(name)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

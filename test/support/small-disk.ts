/** A file system of a few megabytes for one test, which is soon full. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { scratchDirectory, type ScratchDirectory } from '../../scripts/rig/scratch.ts';

const run = promisify(execFile);

/** Needs root, as the engines of the other tests do. */
export async function smallDisk(bytes: number): Promise<ScratchDirectory> {
  const directory = await scratchDirectory('disk');
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'archfarm-test', directory.path]);
  return {
    path: directory.path,
    async [Symbol.asyncDispose]() {
      // At once out of sight, and gone with the last open file: libsql closes its own when they are collected.
      await run('umount', ['-l', directory.path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

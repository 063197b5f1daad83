/** A file system of a few megabytes for one test, which is soon full. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { scratchDirectory, type ScratchDirectory } from '../../scripts/rig/scratch.ts';
import { systemCode } from '../../shared/errors.ts';

const run = promisify(execFile);

export interface SmallDisk extends ScratchDirectory {
  /** Makes it read-only, or writable again. */
  remount(how: 'ro' | 'rw'): Promise<void>;
}

/** Needs root, as the engines of the other tests do. */
export async function smallDisk(bytes: number, { inodes = 1_000 } = {}): Promise<SmallDisk> {
  const directory = await scratchDirectory('disk');
  const limits = `size=${bytes},nr_inodes=${inodes}`;
  await run('mount', ['-t', 'tmpfs', '-o', limits, 'archfarm-test', directory.path]);
  return {
    path: directory.path,
    remount: async (how) => void (await run('mount', ['-o', `remount,${how}`, directory.path])),
    async [Symbol.asyncDispose]() {
      // At once out of sight, and gone with the last open file: libsql closes its own when they are collected.
      await run('umount', ['-l', directory.path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Takes the space that is left, but for so many bytes. */
export async function fillDisk(disk: string, but: number): Promise<AsyncDisposable> {
  const path = join(disk, 'filler');
  const cut = async (): Promise<void> => {
    for (let size = 1024 * 1024; size >= 4096; size /= 2) {
      for (;;) {
        const outcome = await writeFile(path, Buffer.alloc(size), { flag: 'a' }).catch(systemCode);
        if (outcome === 'ENOSPC') break;
      }
    }
  };
  const spare = join(disk, 'spare');
  if (but > 0) await writeFile(spare, Buffer.alloc(but));
  await cut();
  await rm(spare, { force: true });
  return { [Symbol.asyncDispose]: () => rm(path) };
}

/** An ext4 file system in a file: as small as a test needs it, in bytes and in inodes. */
import { execFile } from 'node:child_process';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory, type ScratchDirectory } from '../../scripts/rig/scratch.ts';

const run = promisify(execFile);

export interface FileSystemOptions {
  readonly bytes: number;
  readonly inodes: number;
}

/** Needs root and a loop device. */
export async function fileSystemImage({ bytes, inodes }: FileSystemOptions): Promise<ScratchDirectory> {
  await using made = new Resources();
  const { path } = made.use(await scratchDirectory('image'));
  const image = `${path}/image`;
  await writeFile(image, '');
  await truncate(image, bytes);
  await run('mkfs.ext4', ['-q', '-F', '-N', String(inodes), '-m', '0', image]);
  await mkdir(`${path}/mounted`);
  await run('mount', ['-o', 'loop', image, `${path}/mounted`]);
  // Whoever still has a file open there must not hold up the others.
  made.defer(async () => void (await run('umount', ['--lazy', `${path}/mounted`])));
  const resources = made.move();
  return {
    path: `${path}/mounted`,
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

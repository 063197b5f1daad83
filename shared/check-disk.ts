/** Whether a file system has room to build. */
import { statfs } from 'node:fs/promises';
import type { Check } from './checks.ts';
import { formatSize } from './size.ts';

/** Below either, builds are likely to run out of space. */
const leastShare = 0.1;
const leastBytes = 2 * 1024 ** 3;

/** Throws what `statfs` throws, for a path that is not there say. */
export async function checkDisk(subject: string, path: string): Promise<Check> {
  const { bavail, blocks, bsize } = await statfs(path);
  const free = bavail * bsize;
  const share = bavail / Math.max(1, blocks);
  const what = `${formatSize(free)} free (${Math.floor(share * 100)} %) at ${path}`;
  if (free >= leastBytes && share >= leastShare) return { state: 'ok', subject, what };
  return { state: 'warn', subject, what, hint: 'docker builder prune and docker image prune make room' };
}

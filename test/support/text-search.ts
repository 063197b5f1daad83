/** Where a text is to be found on this machine. Tests that search for what must be nowhere need it to find something, too. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

const run = promisify(execFile);

/** The files at or below these paths that hold it, as text or within other bytes. */
export async function filesWith(text: string, paths: readonly string[]): Promise<string[]> {
  try {
    const { stdout } = await run('grep', ['-rlaF', '-D', 'skip', '--', text, ...paths]);
    return stdout.split('\n').filter((line) => line !== '');
  } catch (error) {
    // That is how it says that there are none.
    if (error instanceof Error && 'code' in error && error.code === 1) return [];
    throw error;
  }
}

/** Which of `environ` and `cmdline` of these processes hold it. */
export async function processesWith(text: string, pids: readonly number[]): Promise<string[]> {
  const files = pids.flatMap((pid) => [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`]);
  const contents = await Promise.all(files.map((file) => readFile(file)));
  return files.filter((_, index) => contents[index]?.includes(text));
}

/** How many of these manifests, configs and layers hold it. */
export function blobsWith(text: string, blobs: readonly Buffer[]): number {
  const isGzip = (blob: Buffer): boolean => blob[0] === 0x1f && blob[1] === 0x8b;
  return blobs.filter((blob) => (isGzip(blob) ? gunzipSync(blob) : blob).includes(text)).length;
}

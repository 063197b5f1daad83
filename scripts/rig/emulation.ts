/** Makes this machine run arm64 binaries, with qemu, while somebody needs it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = fileURLToPath(new URL('emulation.sh', import.meta.url));

let uses = 0;

/**
 * Registers the emulator if nobody has. Its users are counted over all processes, the dead ones left out;
 * the last one to go takes back what archfarm did, and only that.
 */
export async function startEmulation(): Promise<AsyncDisposable> {
  const user = `${++uses}-${process.pid}`;
  await locked('up', user);
  return { [Symbol.asyncDispose]: () => locked('down', user) };
}

async function locked(action: 'up' | 'down', user: string): Promise<void> {
  // The lock is the interpreter's own file, so there is no lock file to leave behind.
  await run('flock', ['/usr/bin/qemu-aarch64-static', 'sh', script, action, user]);
}

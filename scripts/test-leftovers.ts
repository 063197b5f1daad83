/** What a test file left on the machine. Others use the machine too, so only what carries its mark counts. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPacketRules } from './rig/packet-rules.ts';
import { scratchOwner, scratchRoot } from './rig/scratch.ts';

/** Variable that every process of a test file inherits. */
export const markVariable = 'ARCHFARM_TEST_FILE';

/** Directories, mounts, bridges and the like of a test file's process that has ended. */
export async function thingsOf(pid: number): Promise<string[]> {
  const [directories, interfaces, groups, users, mountinfo, rules] = await Promise.all([
    readdir(scratchRoot),
    readdir('/sys/class/net'),
    readdir('/sys/fs/cgroup/pids').catch(() => readdir('/sys/fs/cgroup')),
    readdir('/run/archfarm-emulation').catch(() => []),
    readFile('/proc/self/mountinfo', 'utf8'),
    findPacketRules(),
  ]);
  const aliases = await Promise.all(interfaces.map((name) => read(`/sys/class/net/${name}/ifalias`)));
  const mounts = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '');
  const isOurs = (name: string | undefined): boolean =>
    name !== undefined && scratchOwner(name.trim()) === pid;
  return [
    ...directories.filter(isOurs).map((name) => `directory ${scratchRoot}/${name}`),
    ...interfaces.filter((_, index) => isOurs(aliases[index])).map((name) => `interface ${name}`),
    ...groups.filter(isOurs).map((name) => `control group ${name}`),
    ...mounts.filter((point) => isOurs(point.split('/')[2])).map((point) => `mount ${point}`),
    ...users.filter((name) => name.endsWith(`-${pid}`)).map((name) => `emulation ${name}`),
    ...rules.filter(({ owner }) => owner === pid).map(({ rule }) => `packet rule ${rule.join(' ')}`),
  ];
}

/** Processes still there a second after the test file ended, as `process NAME (PID)`; then kills them. */
export async function endProcessesMarked(mark: string): Promise<string[]> {
  let found = await processesMarked(mark);
  // A process that was told to end may need a moment.
  for (let round = 0; found.length > 0 && round < 20; round++) {
    await sleep(50);
    found = await processesMarked(mark);
  }
  const names = await Promise.all(
    found.map(async (pid) => `process ${(await read(`/proc/${pid}/comm`)).trim()} (${pid})`),
  );
  await killProcessesMarked(mark);
  return names;
}

/** Kills all processes of a test file, whatever groups they are in, and waits until they are gone. */
export async function killProcessesMarked(mark: string): Promise<void> {
  for (;;) {
    const pids = await processesMarked(mark);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await sleep(20);
  }
}

async function processesMarked(mark: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1);
  const environments = await Promise.all(pids.map((pid) => read(`/proc/${pid}/environ`)));
  return pids.filter((_, index) => environments[index]?.includes(`${markVariable}=${mark}\0`));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

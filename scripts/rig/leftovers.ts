/**
 * Takes away all that an engine of the rig can leave: containers, shims, mounts, control groups, its bridge and
 * its directory. All of them carry the directory's name, so a process that died can be cleaned up after.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findPacketRules, removePacketRule } from './packet-rules.ts';
import { scratchOwner, scratchRoot } from './scratch.ts';

const run = promisify(execFile);

/** Leaves nothing of an engine, whether it runs or not. */
export async function removeEngine(dir: string): Promise<void> {
  const mark = basename(dir);
  const sockets = await shimSockets(`${dir}/run/containerd`);
  await killAll(async (pid) => (await isContained(pid, mark)) || (await isEnginePart(pid, mark)));
  await removeMountsAt(dir);
  await removeControlGroup(mark);
  await removeBridge(mark);
  await Promise.all(sockets.map((socket) => rm(socket, { force: true })));
  await removeRuncStates(mark);
  await rm(dir, { recursive: true, force: true });
}

/** Removes the engines and directories of processes that died without doing so; others may do it at the same time. */
export async function sweepDeadOwners(): Promise<void> {
  for (const name of await readdir(scratchRoot)) {
    const owner = scratchOwner(name);
    if (owner !== undefined && (await isGone(owner))) await removeEngine(`${scratchRoot}/${name}`);
  }
  for (const { rule, owner } of await findPacketRules())
    if (await isGone(owner)) await removePacketRule(rule);
}

/** Removes what engines share in /run and nobody uses. Only where no other engine is about to start. */
export async function removeUnusedRuntimeDirectories(): Promise<void> {
  const paths = ['/run/docker/plugins', '/run/docker', '/run/containerd/s', '/run/containerd', '/run/runc'];
  for (const path of paths) {
    // In use, or not there: both are fine.
    await rmdir(path).catch(() => undefined);
  }
}

/** The programs that an engine consists of; `comm` has 15 characters. */
const engineParts = new Set(['dockerd', 'containerd', 'containerd-shim', 'runc', 'docker-proxy']);

async function isContained(pid: number, mark: string): Promise<boolean> {
  return (await procFile(pid, 'cgroup')).includes(`/${mark}`);
}

async function isEnginePart(pid: number, mark: string): Promise<boolean> {
  // The name alone is not enough: somebody may just be reading its log.
  if (!engineParts.has((await procFile(pid, 'comm')).trim())) return false;
  return (await procFile(pid, 'cmdline')).includes(mark);
}

async function killAll(isOurs: (pid: number) => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 250; round++) {
    const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1 && pid !== process.pid);
    const ours = await Promise.all(pids.map(async (pid) => (await isOurs(pid)) && !(await isGone(pid))));
    const found = pids.filter((_, index) => ours[index]);
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
    await sleep(20);
  }
  throw new Error('processes of an engine outlive SIGKILL');
}

function procFile(pid: number, name: string): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
}

/** Only what the kernel says: a file that cannot be read for another reason proves nothing. */
async function isGone(pid: number): Promise<boolean> {
  try {
    return /^State:\s+[ZX]/m.test(await readFile(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    return /ENOENT|ESRCH/.test(String(error));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** The deepest first; a small disk of a test is the directory itself. */
async function removeMountsAt(dir: string): Promise<void> {
  for (const point of (await mountsAt(dir)).toReversed()) {
    await run('umount', ['--lazy', point]).catch(async (error: unknown) => {
      // Another sweep was quicker.
      if ((await mountsAt(dir)).includes(point)) throw error;
    });
  }
}

async function mountsAt(dir: string): Promise<string[]> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point === dir || point.startsWith(`${dir}/`));
}

/** Sockets that shims keep outside the engine's directory, and forget when they are killed. */
async function shimSockets(dir: string): Promise<string[]> {
  const files = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  const addresses = files.filter((file) => file.isFile() && file.name === 'address');
  return Promise.all(
    addresses.map(async (file) =>
      (await readFile(`${file.parentPath}/${file.name}`, 'utf8')).replace(/^unix:\/\//, ''),
    ),
  );
}

/** BuildKit runs its steps under runc's default directory, whatever the engine's own is. */
async function removeRuncStates(mark: string): Promise<void> {
  for (const id of await readdir('/run/runc').catch(() => [])) {
    const state = await readFile(`/run/runc/${id}/state.json`, 'utf8').catch(() => '');
    if (state.includes(mark)) await rm(`/run/runc/${id}`, { recursive: true, force: true });
  }
}

async function removeControlGroup(name: string): Promise<void> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const hierarchies = mountinfo
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '');
  for (const hierarchy of hierarchies) await removeGroup(`${hierarchy}/${name}`);
}

async function removeGroup(path: string): Promise<void> {
  const children = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const child of children) if (child.isDirectory()) await removeGroup(`${path}/${child.name}`);
  await rmdir(path).catch((error: unknown) => {
    if (!String(error).includes('ENOENT')) throw error;
  });
}

async function removeBridge(mark: string): Promise<void> {
  for (const name of await readdir('/sys/class/net')) {
    const alias = await readFile(`/sys/class/net/${name}/ifalias`, 'utf8').catch(() => '');
    if (alias.trim() !== mark) continue;
    // A port may go by itself meanwhile, as its container's network namespace does; all may by another sweep.
    for (const port of await readdir(`/sys/class/net/${name}/brif`).catch(() => []))
      await run('ip', ['link', 'del', port]).catch(() => undefined);
    await run('ip', ['link', 'del', name]).catch(async (error: unknown) => {
      if ((await readdir('/sys/class/net')).includes(name)) throw error;
    });
  }
}

/** Processes of build steps, which run in containers that no docker command lists. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { RunningEngine } from '../../scripts/rig/engine.ts';

/** Ids of the processes in the engine's containers whose command line holds the text. */
export async function stepProcesses(engine: RunningEngine, text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1);
  const isOurs = await Promise.all(
    pids.map(async (pid) => {
      if (!(await procFile(pid, 'cmdline')).replaceAll('\0', ' ').includes(text)) return false;
      return (await procFile(pid, 'cgroup')).includes(`/${basename(engine.dir)}`);
    }),
  );
  return pids.filter((_, index) => isOurs[index]);
}

function procFile(pid: number, name: string): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
}

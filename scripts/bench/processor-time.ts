/** What processes have used of the processors, which a loaded machine changes less than the time that they took. */
import { readFile } from 'node:fs/promises';

/** Of /proc's times, which are the same on all architectures for programs. Source: proc(5), sysconf(3). */
const ticksPerSecond = 100;

/** Seconds, of all these together. */
export async function processorTime(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(timeOf));
  return times.reduce((sum, seconds) => sum + seconds, 0);
}

async function timeOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name of the program comes before, in parentheses, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  const [user, system] = [fields[11], fields[12]].map(Number);
  return ((user ?? 0) + (system ?? 0)) / ticksPerSecond;
}

/** Timed runs begin on a machine that has nothing else to do. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Of all processors; a virtual machine is never quite idle. */
const busyShare = 0.2;
const patience = 30_000;

/** Everything is on the disks, and the processors are mostly idle; false where they do not get there in half a minute. */
export async function untilQuiet(): Promise<boolean> {
  await run('sync');
  const deadline = Date.now() + patience;
  for (let last = await processorTimes(); Date.now() < deadline;) {
    await sleep(250);
    const now = await processorTimes();
    if ((now.busy - last.busy) / (now.all - last.all) < busyShare) return true;
    last = now;
  }
  return false;
}

async function processorTimes(): Promise<{ busy: number; all: number }> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n', 1);
  // cpu user nice system idle iowait irq softirq steal; guests are part of user and nice.
  const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = times.reduce((sum, time) => sum + time, 0);
  return { busy: all - (times[3] ?? 0) - (times[4] ?? 0), all };
}

/** Has the kernel end a process for want of memory, as it does where a container or service has a limit. */
import { access, mkdir, rmdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { until } from './until.ts';

/** Its memory group is as small as it can be from now on. Resolves when the process has ended. Needs root. */
export async function outOfMemory(pid: number): Promise<void> {
  const isOld = existsSync('/sys/fs/cgroup/memory');
  const group = `${isOld ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup'}/archfarm-oom-${process.pid}-${pid}`;
  await mkdir(group);
  try {
    const limit = isOld ? 'memory.limit_in_bytes' : 'memory.max';
    await writeFile(`${group}/${limit}`, '4096');
    await writeFile(`${group}/cgroup.procs`, String(pid));
    const isGone = (): Promise<boolean> =>
      access(`/proc/${pid}/fd/0`).then(
        () => false,
        () => true,
      );
    await until(isGone, { timeout: 30_000, what: `process ${pid} runs out of memory` });
  } finally {
    await until(
      () =>
        rmdir(group).then(
          () => true,
          () => false,
        ),
      { what: `the group ${group} is empty` },
    );
  }
}

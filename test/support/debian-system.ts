/** This machine's Debian with all that is changed in it kept apart: what packages do there is for real, and gone afterwards. */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

export interface DebianSystem extends AsyncDisposable {
  /** Runs a shell script in it, as root; gives status and all output. */
  sh(script: string): Promise<{ readonly status: number; readonly output: string }>;
}

/** `directory` takes what is changed, and is there in the system by the same name. */
export async function debianSystem(directory: string): Promise<DebianSystem> {
  const top = `${directory}/system`;
  await mkdir(top);
  // A mount namespace of its own, which the kernel clears away with its last process. Nobody looks into the index of
  // manual pages, and making it anew after each package takes the longest of all.
  const setUp = `mount -t tmpfs none ${top} && cd ${top} && mkdir upper work root &&
mount -t overlay overlay -o lowerdir=/,upperdir=${top}/upper,workdir=${top}/work root &&
mount --rbind /dev root/dev && mount -t proc none root/proc && mount --bind ${directory} root${directory} &&
rm -f root/var/lib/man-db/auto-update && echo ready && exec sleep infinity`;
  const args = ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', 'sh', '-c', setUp];
  const holder = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: holder.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as unknown[];
  if (line !== 'ready') throw new Error('no Debian apart from this one could be made');
  return {
    async sh(script) {
      const inside = [
        '-t',
        `${holder.pid}`,
        '--mount',
        'chroot',
        `${top}/root`,
        'sh',
        '-c',
        `exec 2>&1\n${script}`,
      ];
      const child = spawn('nsenter', inside, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
      const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
      return { status: child.exitCode ?? -1, output };
    },
    async [Symbol.asyncDispose]() {
      holder.kill('SIGKILL');
      await once(holder, 'close');
    },
  };
}

const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  LC_ALL: 'C.UTF-8',
};

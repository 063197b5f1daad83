/**
 * Names of processes as they stand in names of files: whoever holds a file renames it to one with its own name, in which of
 * several one alone succeeds. What a killed process held is told from what a running one holds, and may be taken over likewise.
 *
 *     NAME                                          free
 *     NAME.BOOT-NAMESPACE-PROCESS-START-RANDOM      held; start of the kernel, of the process; 0 where there is no /proc
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { systemCode } from './errors.ts';

const heldBy = /\.([0-9a-f]{1,12}-\d+-\d+-\d+-[0-9a-f]{8})$/;

/** `unknown` where the process is of another host or container, or from before this host was started. */
export type HolderState = 'running' | 'gone' | 'unknown';

/** A new one with each call: two parts of one process may hold files beside each other. */
export function newHolder(): string {
  const { boot, namespace, start } = self();
  return `${boot}-${namespace}-${process.pid}-${start}-${randomBytes(4).toString('hex')}`;
}

export function heldName(name: string, holder: string): string {
  return `${name}.${holder}`;
}

/** What the file is called when it is free. */
export function freeName(entry: string): string {
  return entry.replace(heldBy, '');
}

export function stateOf(entry: string): 'free' | HolderState {
  const holder = heldBy.exec(entry)?.[1];
  return holder === undefined ? 'free' : holderState(holder);
}

export function holderState(holder: string): HolderState {
  const [boot, namespace, id, start] = holder.split('-');
  const own = self();
  if (boot !== own.boot || namespace !== own.namespace) return 'unknown';
  if (!exists(Number(id))) return 'gone';
  // Its number may be that of another process by now.
  const found = own.start === '0' ? undefined : readStat(id!);
  return found === undefined || (found.start === start && !found.isDead) ? 'running' : 'gone';
}

let known: { readonly boot: string; readonly namespace: string; readonly start: string } | undefined;

function self(): NonNullable<typeof known> {
  return (known ??= readSelf());
}

function readSelf(): NonNullable<typeof known> {
  try {
    const found = readStat('self');
    const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').replaceAll('-', '').slice(0, 12);
    // That of another namespace would show other processes under the same numbers.
    if (found?.id === String(process.pid) && namespace !== undefined)
      return { boot, namespace, start: found.start };
  } catch {
    // Not Linux: the number of the process has to do.
  }
  return { boot: '0', namespace: '0', start: '0' };
}

function exists(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

interface Stat {
  readonly id: string;
  /** Ticks since the kernel's own start. */
  readonly start: string;
  /** Killed, and with no thread that could still be writing. */
  readonly isDead: boolean;
}

/** Undefined where it cannot be read. */
function readStat(id: string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${id}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // Its own name, in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const isDead = ['Z', 'X'].includes(fields[0]!) && Number(fields[17]) <= 1;
  return { id: text.slice(0, text.indexOf(' ')), start: fields[19]!, isDead };
}

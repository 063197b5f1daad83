/** How much memory another process holds, of what it cannot let go of, and how much it ever had. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as v from 'valibot';

const told = v.object({ pid: v.number(), held: v.number() });

/** For a process that is to be asked at this path: `heldMemory`. `hasty`: it waits for no random part of a pause. */
export function toBeAsked(path: string, { hasty = false } = {}): NodeJS.ProcessEnv {
  const options = hasty ? `${preload} --require=${join(import.meta.dirname, 'no-jitter.cjs')}` : preload;
  return { NODE_OPTIONS: options, ARCHFARM_TEST_MEMORY: path };
}

/** For processes that are to note in this file, a line each, the bytes that they had at the most. */
export function toNotePeak(path: string): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: preload, ARCHFARM_TEST_PEAK: path };
}

const preload = `--require=${join(import.meta.dirname, 'tell-memory.cjs')}`;

/** Bytes that are in use when all else has been collected. Throws where it is another process than it was. */
export async function heldMemory(path: string, pid: number): Promise<number> {
  const socket = connect(path);
  await once(socket, 'connect');
  const answer = v.parse(told, JSON.parse(await text(socket)));
  if (answer.pid !== pid) throw new Error(`process ${pid} was replaced by ${answer.pid}`);
  return answer.held;
}

/** Forgets the most that a process had in memory, and gives what it has now. Source: proc(5), clear_refs. Needs root. */
export async function resetPeak(pid: number): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return peak(pid);
}

/** The most that a process had in memory. Source: proc(5), VmHWM. */
export async function peak(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

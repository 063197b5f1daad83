/** The coordinator under load: a real process on a port and a data directory that outlive it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { archfarmCommand, listens } from '../rig/farm.ts';
import { freePort } from '../rig/free-port.ts';
import { Resources } from '../rig/resources.ts';
import { scratchDirectory } from '../rig/scratch.ts';
import { startService } from '../rig/service.ts';

export interface ScaleCoordinator extends AsyncDisposable {
  readonly url: URL;
  readonly data: string;
  readonly pid: number;
  /** What its processes have used since they began. */
  usage(): Promise<Usage>;
  /** As a power cut ends it, and started again; milliseconds from the kill until it listens. */
  kill(): Promise<number>;
  /** Milliseconds that it takes to stop when it is told to, and to listen again after what is done `meanwhile`. */
  restart(meanwhile: () => Promise<void>): Promise<{ readonly stop: number; readonly start: number }>;
  logs(): Promise<string>;
}

export interface Usage {
  /** By `performance.now()`. */
  readonly at: number;
  /** Seconds of processor time. */
  readonly processor: number;
  /** Megabytes. */
  readonly resident: number;
  readonly residentPeak: number;
}

/** Of the kernel's clock. */
const ticksPerSecond = 100;

export async function startScaleCoordinator(flags: readonly string[] = []): Promise<ScaleCoordinator> {
  await using started = new Resources();
  const { path } = started.use(await scratchDirectory('scale'));
  const address = `127.0.0.1:${await freePort()}`;
  const data = `${path}/data`;
  const command = [process.execPath, archfarmCommand, 'serve', '--listen', address, '--data', data, ...flags];
  const env = { ...process.env, DOCKER_CONFIG: path, XDG_CACHE_HOME: `${path}/cache` };
  const options = { log: `${path}/log`, env, ready: () => listens(address) };
  const service = started.use(await startService(command, options));
  const resources = started.move();
  const restart = async (): Promise<number> => {
    const start = performance.now();
    await service.restart();
    return performance.now() - start;
  };
  return {
    url: new URL(`http://${address}/`),
    data,
    get pid() {
      return service.pid;
    },
    usage: () => usageOf(service.pid),
    async kill() {
      const start = performance.now();
      service.kill('SIGKILL');
      await service.ended;
      await restart();
      return performance.now() - start;
    },
    async restart(meanwhile) {
      const start = performance.now();
      service.kill('SIGTERM');
      await service.ended;
      const stop = performance.now() - start;
      await meanwhile();
      return { stop, start: await restart() };
    },
    logs: () => service.logs(),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

/** What was used between two looks. */
export function usedBetween(before: Usage, after: Usage): { coreShare: number; residentPeak: number } {
  const seconds = (after.at - before.at) / 1000;
  return {
    coreShare: Number(((after.processor - before.processor) / seconds).toFixed(3)),
    residentPeak: Math.round(after.residentPeak),
  };
}

/** Resident megabytes, once a second until told to stop. */
export async function watchResident(pid: number, stop: AbortSignal): Promise<number[]> {
  const samples: number[] = [];
  while (!stop.aborted) {
    samples.push((await usageOf(pid)).resident);
    await sleep(1000, undefined, { signal: stop }).catch(() => {});
  }
  return samples;
}

async function usageOf(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
  );
  // The name of a program may hold spaces; utime and stime are fields 14 and 15.
  const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status ?? '')?.[1]);
  return {
    at: performance.now(),
    processor: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    resident: kilobytes('VmRSS') / 1024,
    residentPeak: kilobytes('VmHWM') / 1024,
  };
}

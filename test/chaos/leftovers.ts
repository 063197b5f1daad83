/** What is left of work that has ended: on engines, at agents, and in the coordinator's process. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { request } from 'node:http';
import { basename } from 'node:path';
import type { RunningEngine } from '../../scripts/rig/engine.ts';
import type { Lab } from '../support/chaos-lab.ts';
import { until } from '../support/until.ts';

/** Sockets that a process may have beyond those of a quiet farm: keep-alive, a client that is just leaving. */
const spareSockets = 24;

/** Waits until nothing is left of the work, as far as that comes. */
export async function atRest(lab: Lab): Promise<string[]> {
  let left: string[] = [];
  const isClean = async (): Promise<boolean> => {
    left = [
      ...(await Promise.all(lab.engines.map(leftOnEngine))).flat(),
      ...(await leftAtAgents(lab)),
      ...(await openSockets(lab.farm.coordinator.pid, 'the coordinator')),
    ];
    return left.length === 0;
  };
  await until(isClean, { timeout: 30_000, every: 200 }).catch(() => undefined);
  return left;
}

async function leftOnEngine(engine: RunningEngine): Promise<string[]> {
  const containers = await askEngine(engine, '/containers/json?all=1');
  const processes = await processesIn(basename(engine.dir));
  return [
    ...(containers === '[]\n' || containers === '[]' ? [] : [`containers: ${containers.slice(0, 500)}`]),
    ...processes.map((process) => `process ${process}`),
  ];
}

function askEngine({ host }: RunningEngine, path: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ socketPath: host.replace('unix://', ''), path, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.on('end', () => resolve(text));
    });
    asked.once('error', (error) => resolve(String(error)));
    asked.end();
  });
}

/** Those of containers are in a control group below the engine's. */
async function processesIn(group: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
      if (!groups.includes(`/${group}`)) return [];
      return [(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')];
    }),
  );
  return found.flat();
}

/** Reports that are not settled, and what a transfer left half written. */
async function leftAtAgents(lab: Lab): Promise<string[]> {
  const entries = await readdir(lab.farm.dir, { recursive: true });
  const journals = entries.filter((entry) => entry.endsWith('journal.ndjson'));
  const left: string[] = [];
  for (const journal of journals) {
    const lines = (await readFile(`${lab.farm.dir}/${journal}`, 'utf8'))
      .split('\n')
      .filter((line) => line !== '');
    const open = new Set<string>();
    for (const line of lines) {
      const { attempt, settled }: { attempt?: string; settled?: string } = JSON.parse(line);
      if (attempt !== undefined) open.add(attempt);
      if (settled !== undefined) open.delete(settled);
    }
    left.push(...[...open].map((attempt) => `the report of ${attempt} in ${journal}`));
  }
  return left;
}

async function openSockets(pid: number, who: string): Promise<string[]> {
  const entries = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    entries.map((entry) => readlink(`/proc/${pid}/fd/${entry}`).catch(() => '')),
  );
  const sockets = targets.filter((target) => target.startsWith('socket:')).length;
  return sockets > spareSockets ? [`${sockets} sockets of ${who}`] : [];
}

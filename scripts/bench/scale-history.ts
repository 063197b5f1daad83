/** A long history: one real build, and as many copies of it. */
import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { archfarmCommand } from '../rig/farm.ts';
import { fillHistory } from '../rig/filled-history.ts';
import { percentile, rounded } from './figures.ts';
import { newSeen } from './scale-agent.ts';
import { ScaleClient } from './scale-client.ts';
import { startScaleCoordinator } from './scale-coordinator.ts';
import { startCrowd } from './scale-crowd.ts';
import { FakeEngine } from './scale-engine.ts';
import { startScaleRegistry, type ScaleRegistry } from './scale-registry.ts';

const run = promisify(execFile);
const asks = 500;

export async function measureHistory({ count }: { count: number }): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator(['--keep-builds', String(10 * count)]);
  const build = await oneBuild(coordinator.url, registry);
  const path = `${coordinator.data}/archfarm.db`;
  const { stop, start } = await coordinator.restart(async () => {
    await fillHistory(coordinator.data, { build, count });
    const log = `${coordinator.data}/logs/${build}`;
    const bytes = await readFile(`${log}.ndjson`);
    for (let n = 1; n <= count; n++) await writeFile(`${log}${suffixOf(n)}.ndjson`, bytes);
  });
  const before = await coordinator.usage();
  const client = new ScaleClient(coordinator.url);
  const timed = async (paths: (n: number) => string): Promise<number[]> => {
    const times: number[] = [];
    for (let n = 0; n < asks; n++) {
      const begin = performance.now();
      await text(await client.ask('GET', paths(n)));
      times.push(performance.now() - begin);
    }
    return times;
  };
  const at = (n: number): string => `${build}${suffixOf(1 + Math.floor((n * count) / asks))}`;
  // The first ones fall into the sweep that every start begins with.
  const list = await timed(() => '/v1/builds?limit=50');
  const page = await timed((n) => `/v1/builds?limit=50&before=${at(n)}`);
  const failed = await timed(() => '/v1/builds?limit=50&status=failed');
  const show = await timed((n) => `/v1/builds/${at(n)}`);
  const env = { ...process.env, ARCHFARM_COORDINATOR: coordinator.url.host };
  const command = performance.now();
  await run(process.execPath, [archfarmCommand, 'builds'], { env });
  const builds = performance.now() - command;
  client.close();
  return {
    history: count,
    startSeconds: rounded(start / 1000),
    stopSeconds: rounded(stop / 1000),
    listP99: rounded(percentile(list, 0.99)),
    pageP99: rounded(percentile(page, 0.99)),
    statusP99: rounded(percentile(failed, 0.99)),
    showP99: rounded(percentile(show, 0.99)),
    buildsCommandMilliseconds: Math.round(builds),
    databaseMegabytes: Math.round((await stat(path)).size / 1_000_000),
    residentMegabytes: Math.round(before.resident),
  };
}

async function oneBuild(coordinator: URL, registry: ScaleRegistry): Promise<string> {
  const engine = new FakeEngine(registry);
  using _crowd = await startCrowd(1, {
    coordinator,
    seen: newSeen(),
    onOffer(agent, offer) {
      engine.begin(agent, offer);
      engine.end(agent, offer);
    },
  });
  const client = new ScaleClient(coordinator);
  const build = await client.submit(`${registry.host}/bench/app:1`, ['linux/amd64']);
  const { status } = await client.follow(build);
  client.close();
  if (status !== 'succeeded') throw new Error(`the build has ${status}`);
  return build;
}

/** As the copies are numbered. */
function suffixOf(n: number): string {
  return String(n).padStart(7, '0');
}

/**
 * What archfarm adds to the raw engines: the same tiny context, built and pushed by `archfarm build` as a whole
 * process, and by plain API calls to both engines in parallel with the list put by hand. Paired, in turns.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { archfarmCommand, startFarm, type RunningFarm } from '../rig/farm.ts';
import { scratchDirectory } from '../rig/scratch.ts';
import { RawEngines } from './raw-engines.ts';
import { median, spread } from './figures.ts';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '7' } } });
const runs = Number(values.runs);

await using farm = await startFarm({ registry: { untuned: true } });
await using scratch = await scratchDirectory('bench');
const directory = scratch.path;
await writeFile(join(directory, 'Dockerfile'), 'FROM scratch\nCOPY app/ /app/\n');
const raw = new RawEngines(farm, directory);
// Warm both ways up: the first build of an engine makes its caches.
await edit(0);
await build(farm);
await raw.build();

for (const kind of ['nothing changed', 'one file edited'] as const) {
  const times = { archfarm: [] as number[], raw: [] as number[] };
  for (let run = 1; run <= runs; run++) {
    if (kind === 'one file edited') await edit(run * 2);
    times.raw.push(await timed(() => raw.build()));
    if (kind === 'one file edited') await edit(run * 2 + 1);
    times.archfarm.push(await timed(() => build(farm)));
  }
  const [ours, theirs] = [median(times.archfarm), median(times.raw)];
  console.log(`${kind}: archfarm ${spread(times.archfarm)}, raw engines ${spread(times.raw)}`);
  console.log(
    JSON.stringify({
      bench: 'overhead',
      kind,
      runs,
      archfarm: Math.round(ours),
      raw: Math.round(theirs),
      added: Math.round(ours - theirs),
      ratio: Number((ours / theirs).toFixed(2)),
    }),
  );
}

async function edit(version: number): Promise<void> {
  await mkdir(join(directory, 'app'), { recursive: true });
  await writeFile(join(directory, 'app', 'main.py'), `print("version ${version}")\n`);
  await writeFile(join(directory, 'app', 'requirements.txt'), 'flask\n');
}

async function build({ env, registry }: RunningFarm): Promise<void> {
  const args = [
    'build',
    directory,
    '-t',
    `${registry}/bench/archfarm`,
    '--platform',
    'linux/amd64,linux/arm64',
  ];
  const child = spawn(
    process.execPath,
    [archfarmCommand, ...args, '--allow-emulation', '--progress', 'quiet'],
    {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`archfarm build ended with ${child.exitCode}`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

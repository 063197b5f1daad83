/**
 * Two platform images of one registry into a new repository there, under one list: `archfarm push from-spec` against
 * the tools at hand, as whole processes, in turns, near the registry and 20 ms away from it. And the last step of a build
 * alone, whose requests and round trips have bounds.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startRegistry } from '../rig/registry.ts';
import { scratchDirectory } from '../rig/scratch.ts';
import { startDelayingProxy } from './delaying-proxy.ts';
import { median, spread } from './figures.ts';
import { publishBare } from './publish-bare.ts';
import { newBlobs, putImage } from './publish-images.ts';
import { publishSteps, stepCases, type StepCase, type StepFigures } from './publish-step.ts';
import { publishTools } from './publish-tools.ts';
import { untilQuiet } from './quiet.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, busy: { type: 'boolean', default: false } },
});
const runs = Number(values.runs);

await using registry = await startRegistry({ untuned: true });
await using scratch = await scratchDirectory('bench');
// Some tools insist that there is one.
await writeFile(`${scratch.path}/config.json`, '{}');
for (const architecture of ['amd64', 'arm64']) {
  await putImage({ host: registry.host, repository: `bench/app-${architecture}` }, newBlobs(architecture));
}

for (const delay of [0, 20]) {
  await using proxy = await startDelayingProxy(registry.host, delay);
  const tools = publishTools(scratch.path);
  const figures = new Map(
    tools.map(({ name }) => [
      name,
      { times: [] as number[], processor: [] as number[], requests: [] as number[] },
    ]),
  );
  const images = [`${proxy.host}/bench/app-amd64:1`, `${proxy.host}/bench/app-arm64:1`] as const;
  // The first turn is for nobody: it brings the programs into memory.
  for (let turn = 0; turn <= runs; turn++) {
    for (const tool of tools) {
      const target = `${proxy.host}/bench/${tool.name}-${delay}-${turn}:1`;
      if (!values.busy) await untilQuiet();
      proxy.restart();
      const start = performance.now();
      const processor = await tool.publish({ target, images });
      const time = performance.now() - start;
      if (turn === 0) continue;
      figures.get(tool.name)?.processor.push(processor);
      figures.get(tool.name)?.times.push(time);
      figures.get(tool.name)?.requests.push(proxy.requests);
    }
  }
  const reference = median(figures.get('docker')?.times ?? []);
  const referenceProcessor = median(figures.get('docker')?.processor ?? []);
  for (const [tool, { times, processor, requests }] of figures) {
    console.log(
      `${tool}, ${delay} ms away: ${spread(times)}, processor ${spread(processor)}, ${median(requests)} requests`,
    );
    console.log(
      JSON.stringify({
        bench: 'publish',
        tool,
        delay,
        runs,
        milliseconds: Math.round(median(times)),
        processorMilliseconds: Math.round(median(processor)),
        requests: median(requests),
        // Of docker manifest's.
        ratio: Number((median(times) / reference).toFixed(2)),
        processorRatio: Number((median(processor) / referenceProcessor).toFixed(2)),
      }),
    );
  }
}

/** At most: requests, and round trips from the reports on, one after another, with the one that reads the tag back. */
const bounds: Readonly<Record<StepCase, { requests: number; depth: number }>> = {
  new: { requests: 13, depth: 5 },
  blobs: { requests: 7, depth: 4 },
  unchanged: { requests: 1, depth: 0 },
  retagged: { requests: 7, depth: 3 },
};

for (const delay of [0, 20]) {
  await using proxy = await startDelayingProxy(registry.host, delay);
  const figures = new Map<StepCase, StepFigures>(
    stepCases.map((step) => [step, { times: [], requests: [], depths: [] }]),
  );
  for (let turn = 0; turn <= runs; turn++) {
    if (!values.busy) await untilQuiet();
    const place = { name: `step-${delay}-${turn}`, upstream: registry.host };
    await publishSteps(proxy, place, (step, { time, requests, depth }) => {
      if (turn === 0) return;
      figures.get(step)?.times.push(time);
      figures.get(step)?.requests.push(requests);
      figures.get(step)?.depths.push(depth);
    });
  }
  for (const [step, { times, requests, depths }] of figures) {
    // What has nothing to do with another may still come after it on a busy machine: the least is how it is made.
    const depth = Math.min(...depths);
    console.log(
      `publish step, ${step}, ${delay} ms away: ${spread(times)}, ${median(requests)} requests, ${depth} deep`,
    );
    console.log(
      JSON.stringify({
        bench: 'publish-step',
        case: step,
        delay,
        runs,
        milliseconds: Math.round(median(times)),
        requests: median(requests),
        depth,
      }),
    );
    const bound = bounds[step];
    if (Math.max(...requests) > bound.requests || (delay > 0 && depth > bound.depth)) {
      console.error(`more than ${bound.requests} requests or ${bound.depth} round trips: ${step}`);
      process.exitCode = 1;
    }
  }
}

// Without a proxy to count, which takes its share of the processors; and beside it the bare requests of the same step.
const straight = new Map<StepCase | 'bare', number[]>(
  [...stepCases, 'bare' as const].map((step) => [step, []]),
);
const uncounted = { host: registry.host, requests: 0, depth: 0, restart() {}, fromHere() {} };
for (let turn = 0; turn <= runs; turn++) {
  if (!values.busy) await untilQuiet();
  const place = { name: `straight-${turn}`, upstream: registry.host };
  await publishSteps(uncounted, place, (step, { time }) => {
    if (turn > 0) straight.get(step)?.push(time);
  });
  if (!values.busy) await untilQuiet();
  const bare = await publishBare(registry.host, `straight-${turn}`);
  if (turn > 0) straight.get('bare')?.push(bare);
}
for (const [step, times] of straight) {
  console.log(
    `publish step, ${step}, straight to the registry: ${spread(times)}, least ${Math.min(...times).toFixed(1)} ms`,
  );
  console.log(
    JSON.stringify({
      bench: 'publish-step',
      case: step,
      straight: true,
      runs,
      milliseconds: Math.round(median(times)),
      least: Number(Math.min(...times).toFixed(1)),
    }),
  );
}

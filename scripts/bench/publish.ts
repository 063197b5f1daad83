/**
 * Two platform images of one registry into a new repository there, under one list: `archfarm push from-spec` against
 * the tools at hand, as whole processes, in turns, near the registry and 20 ms away from it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startRegistry } from '../rig/registry.ts';
import { scratchDirectory } from '../rig/scratch.ts';
import { startDelayingProxy } from './delaying-proxy.ts';
import { median, spread } from './figures.ts';
import { publishTools } from './publish-tools.ts';
import { untilQuiet } from './quiet.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, busy: { type: 'boolean', default: false } },
});
const runs = Number(values.runs);
const layerBytes = 100_000;
const docker = 'application/vnd.docker';

await using registry = await startRegistry();
await using scratch = await scratchDirectory('bench');
// Some tools insist that there is one.
await writeFile(`${scratch.path}/config.json`, '{}');
await putImage('bench/app-amd64', 'amd64');
await putImage('bench/app-arm64', 'arm64');

for (const delay of [0, 20]) {
  await using proxy = await startDelayingProxy(registry.host, delay);
  const tools = publishTools(scratch.path);
  const figures = new Map(
    tools.map(({ name }) => [name, { times: [] as number[], requests: [] as number[] }]),
  );
  const images = [`${proxy.host}/bench/app-amd64:1`, `${proxy.host}/bench/app-arm64:1`] as const;
  // The first turn is for nobody: it brings the programs into memory.
  for (let turn = 0; turn <= runs; turn++) {
    for (const tool of tools) {
      const target = `${proxy.host}/bench/${tool.name}-${delay}-${turn}:1`;
      if (!values.busy) await untilQuiet();
      const before = proxy.requests;
      const start = performance.now();
      await tool.publish({ target, images });
      const time = performance.now() - start;
      if (turn === 0) continue;
      figures.get(tool.name)?.times.push(time);
      figures.get(tool.name)?.requests.push(proxy.requests - before);
    }
  }
  const reference = median(figures.get('docker')?.times ?? []);
  for (const [tool, { times, requests }] of figures) {
    console.log(`${tool}, ${delay} ms away: ${spread(times)}, ${median(requests)} requests`);
    console.log(
      JSON.stringify({
        bench: 'publish',
        tool,
        delay,
        runs,
        milliseconds: Math.round(median(times)),
        requests: median(requests),
        // Of docker manifest's time.
        ratio: Number((median(times) / reference).toFixed(2)),
      }),
    );
  }
}

/** With a config and two layers that no other image has. */
async function putImage(repository: string, architecture: string): Promise<void> {
  const rootfs = { type: 'layers', diff_ids: [] };
  const salt = randomBytes(8).toString('hex');
  const config = Buffer.from(
    JSON.stringify({ architecture, os: 'linux', rootfs, config: { Labels: { salt } } }),
  );
  const layers = [randomBytes(layerBytes), randomBytes(layerBytes)];
  for (const blob of [config, ...layers]) {
    const opened = await ask(`${repository}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(opened.headers.get('location') ?? '');
    location.searchParams.set('digest', digestOf(blob));
    await ask(location.href, { method: 'PUT', body: blob });
  }
  const describe = (mediaType: string, blob: Buffer): object => {
    return { mediaType, size: blob.length, digest: digestOf(blob) };
  };
  const mediaType = `${docker}.distribution.manifest.v2+json`;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(`${docker}.container.image.v1+json`, config),
    layers: layers.map((layer) => describe(`${docker}.image.rootfs.diff.tar.gzip`, layer)),
  };
  await ask(`${repository}/manifests/1`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: JSON.stringify(manifest),
  });
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(new URL(path, `http://${registry.host}/v2/`), init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${init.method} ${path}: ${answer.status} ${text}`);
  return answer;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

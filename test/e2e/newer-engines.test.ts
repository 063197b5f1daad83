/** Engines with the containerd image store push an index with provenance even for one platform; both are scripted here. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm, type EndedCommand } from '../support/archfarm-command.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';
import { ociIndexType } from '../support/provenance.ts';
import { pullDocument } from '../support/sample-image.ts';
import { startScriptedEngine } from '../support/scripted-engine.ts';
import { writeFiles } from '../support/write-files.ts';

const resources = new Resources();
const registry = resources.use(await startRegistry());
const amd64 = resources.use(
  await startScriptedEngine({ architecture: 'amd64', machine: 'x86_64', stolenPushes: 1 }),
);
const arm64 = resources.use(await startScriptedEngine({ architecture: 'arm64', machine: 'aarch64' }));
const farm = resources.use(
  await startFarmProcesses({
    agents: [
      { name: 'rack', platforms: ['linux/amd64'], engine: amd64.host },
      { name: 'pi', platforms: ['linux/arm64'], engine: arm64.host },
    ],
  }),
);
const context = resources.use(await scratchDirectory('newer'));
await writeFiles(context.path, { Dockerfile: 'FROM scratch\nCOPY . /\n' });

const listSchema = v.object({
  mediaType: v.string(),
  manifests: v.array(
    v.object({
      digest: v.string(),
      platform: v.object({ os: v.string(), architecture: v.string() }),
      annotations: v.optional(v.record(v.string(), v.string())),
    }),
  ),
});

function build(name: string, ...flags: string[]): Promise<EndedCommand> {
  const tag = `${registry.host}/onap/${name}`;
  const platforms = ['--platform', 'linux/amd64,linux/arm64'];
  return archfarm(['build', context.path, '-t', tag, ...platforms, '--progress', 'plain', ...flags], farm);
}

async function published(name: string): Promise<v.InferOutput<typeof listSchema>> {
  const list = await pullDocument({ host: registry.host, repository: `onap/${name}` }, 'latest');
  return v.parse(listSchema, JSON.parse(String(list?.bytes)));
}

test('images are taken out of the pushed indexes, and their provenance is kept behind them', async () => {
  const { status, stderr } = await build('kept');
  assert.is(status, 0, stderr);
  const { mediaType, manifests } = await published('kept');
  assert.is(mediaType, ociIndexType);
  const images = [amd64.built.at(-1), arm64.built.at(-1)];
  assert.equal(
    manifests.map(({ digest }) => digest),
    [...images.map((image) => image?.image.digest), ...images.map((image) => image?.attestation.digest)],
  );
  assert.equal(
    manifests.slice(2).map(({ annotations }) => annotations?.['vnd.docker.reference.digest']),
    images.map((image) => image?.image.digest),
  );
});

test('a push that was not of the image built is no result: it is pushed again', () => {
  const reference = `${registry.host}/onap/kept-amd64:latest`;
  assert.equal(amd64.pushes, [reference, reference]);
});

test('provenance is left out, or a reason to refuse, where that is asked for', async () => {
  const stripped = await build('stripped', '--attestations', 'strip');
  assert.is(stripped.status, 0, stripped.stderr);
  const { manifests } = await published('stripped');
  assert.equal(
    manifests.map(({ platform: { os, architecture } }) => `${os}/${architecture}`),
    ['linux/amd64', 'linux/arm64'],
  );
  const refused = await build('refused', '--attestations', 'error');
  assert.is(refused.status, 2, refused.stderr);
  assert.match(refused.stderr, /onap\/refused-a.*attestation/s);
  assert.is(await pullDocument({ host: registry.host, repository: 'onap/refused' }, 'latest'), undefined);
});

test('gives everything back', () => resources[Symbol.asyncDispose]());

test.run();

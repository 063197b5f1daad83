/** What is published of a build, where, and at what cost: lists, annotations, tags and caches on a real farm. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { startFarm } from '../../scripts/rig/farm.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, runBuild, type EndedBuild } from '../support/build-command.ts';
import { publishBase, runImage } from '../support/image-run.ts';
import { readPublished } from '../support/published-image.ts';
import { pullDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const other = await startRegistry();
const directory = await temporaryDirectory();
const { env } = farm;
const base = await publishBase(farm);
const both = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation'];
const path = await writeFiles(`${directory.path}/app`, {
  Dockerfile: `FROM ${base}\nCOPY content /content\nRUN uname -m >/machine\nCMD ["cat", "/content", "/machine"]\n`,
  content: 'content\n',
});

const listSchema = v.object({
  mediaType: v.string(),
  annotations: v.optional(v.record(v.string(), v.string())),
  manifests: v.array(
    v.object({
      digest: v.string(),
      platform: v.object({ architecture: v.string() }),
      annotations: v.optional(v.record(v.string(), v.string())),
    }),
  ),
});

async function listAt(repository: string, tag = 'latest') {
  const found = await pullDocument({ host: farm.registry, repository }, tag);
  return v.parse(listSchema, JSON.parse(String(found?.bytes)));
}

test('an annotated list is an OCI index that engines pull, with tags for its children', async () => {
  const image = `${farm.registry}/noted`;
  const notes = ['title=noted', 'manifest-descriptor[linux/arm64]:for=arm64'];
  const flags = [...notes.flatMap((note) => ['--annotation', note]), '--child-tags'];
  const built = await buildImage(['-t', image, ...both, ...flags, path], { env });
  const list = await listAt('noted');
  assert.is(list.mediaType, 'application/vnd.oci.image.index.v1+json');
  assert.equal(list.annotations, { title: 'noted' });
  assert.equal(
    list.manifests.map(({ annotations }) => annotations),
    [undefined, { for: 'arm64' }],
  );
  for (const [index, suffix] of ['amd64', 'arm64v8'].entries()) {
    const child = await pullDocument({ host: farm.registry, repository: 'noted' }, `latest-${suffix}`);
    assert.is(child?.digest, list.manifests[index]?.digest);
  }
  const reference = `${image}@${built.stdout.trim()}`;
  assert.is(await runImage(farm, { reference, platform: 'linux/arm64' }), 'content\naarch64');
});

test('what cannot be published is refused before anything is built', async () => {
  for (const [flags, message] of [
    [['--type', 'docker', '--annotation', 'a=b'], 'a Docker manifest list takes no annotations'],
    [['--type', 'docker', '--attestations', 'keep'], 'a Docker manifest list holds no attestations'],
    [['--annotation', 'manifest-descriptor[linux/s390x]:a=b'], 'linux/s390x, which is not built'],
    [['--cache-to', 'type=registry,ref=x'], 'into the image only'],
  ] as const) {
    const { status, stderr } = await archfarm(
      ['build', '-t', `${farm.registry}/refused`, ...both, ...flags, path],
      { env },
    );
    assert.is(status, 2, stderr);
    assert.match(stderr, message);
  }
});

test('a tag does not lose a platform unless it is forced to', async () => {
  const image = `${farm.registry}/lossy`;
  const built = await buildImage(['-t', image, ...both, path], { env });
  const half = ['build', '-t', image, '--platform', 'linux/amd64', path];
  const { status, stderr } = await archfarm(half, { env });
  assert.is(status, 2, stderr);
  assert.match(stderr, `${image}:latest has linux/arm64/v8 today`);
  assert.is((await readPublished({ host: farm.registry, repository: 'lossy' }))?.digest, built.stdout.trim());
  const forced = await archfarm([...half, '--force'], { env });
  assert.is(forced.status, 0, forced.stderr);
  assert.equal((await readPublished({ host: farm.registry, repository: 'lossy' }))?.platforms, [
    'linux/amd64',
  ]);
});

test('one push of each platform is enough for several registries', async () => {
  const tags = [`${farm.registry}/one/app:1`, `${farm.registry}/two/app`, `${other.host}/three/app`];
  const built = await buildImage([...tags.flatMap((tag) => ['-t', tag]), ...both, path], { env });
  const digest = built.stdout.trim();
  assert.is((await readPublished({ host: farm.registry, repository: 'one/app' }, '1'))?.digest, digest);
  assert.is((await readPublished({ host: farm.registry, repository: 'two/app' }))?.digest, digest);
  assert.is((await readPublished({ host: other.host, repository: 'three/app' }))?.digest, digest);
  assert.equal(built.result.tags, [tags[0], `${tags[1]}:latest`, `${tags[2]}:latest`]);
});

test('an engine that has forgotten everything takes its cache from the image of its platform', async () => {
  const image = `${farm.registry}/cached`;
  const first = await buildImage(['-t', image, ...both, '--cache-to', 'inline', path], { env });
  for (const { host } of Object.values(farm.engines)) {
    await promisify(execFile)('docker', ['-H', host, 'builder', 'prune', '--all', '--force'], { env });
  }
  const again = await buildImage(
    ['-t', image, ...both, '--cache-to', 'inline', '--cache-from', image, path],
    {
      env,
    },
  );
  const ran = (build: EndedBuild): string[] =>
    build.frames.flatMap((frame) =>
      frame.type === 'step' && frame.name.includes('RUN uname') && frame.status !== 'started'
        ? [`${frame.platform} ${frame.status}`]
        : [],
    );
  assert.equal(ran(first).length, 2);
  assert.equal(ran(again).toSorted(), ['linux/amd64 cached', 'linux/arm64/v8 cached']);
  assert.equal((await listAt('cached')).manifests.length, 2);
});

test('a rebuild that changes nothing leaves the tag alone', async () => {
  const image = `${farm.registry}/same`;
  const first = await buildImage(['-t', image, ...both, path], { env });
  const again = await runBuild(['-t', image, ...both, path], { env });
  assert.is(again.stdout, first.stdout);
  assert.not(again.frames.some(({ type }) => type === 'publish'));
});

test('the farm ends', async () => {
  await directory[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await farm[Symbol.asyncDispose]();
});

test.run();

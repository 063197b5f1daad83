/** The main path on real engines: one build for two platforms, and everything that its users see of it. */
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { buildResultSchema } from '../../coordinator/cli/api-answers.ts';
import type { Frame } from '../../shared/progress.ts';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { framesOf, platformOf } from '../support/build-command.ts';
import { codeSpans, documentAt, sectionOf } from '../support/documents.ts';
import { publishBase, runImage } from '../support/image-run.ts';
import { pullDocument } from '../support/sample-image.ts';
import { blockWith, ShownCommands } from '../support/shown-commands.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const project = await writeFiles(`${directory.path}/py-app`, {
  'compose.yaml': `services:
  py-app:
    image: ${farm.registry}/onap/py-app
    build:
      context: .
      args:
        BASE: ${base}
      platforms: [linux/amd64, linux/arm64]
  database:
    image: nothing/to-build
`,
  Dockerfile: `ARG BASE
FROM $BASE
WORKDIR /app
COPY app/ .
RUN sleep 1; uname -m >machine
CMD ["sh", "main.sh"]
`,
  'app/main.sh': 'echo "Hello ONAP. I am a service running on $(uname -m), built on $(cat machine)"\n',
});
const image = `${farm.registry}/onap/py-app`;
const metadataFile = `${directory.path}/metadata.json`;
const digestFile = `${directory.path}/digest`;
const repositoriesBefore = await repositories();
const built = await archfarm(
  ['build', 'py-app', '--allow-emulation', '--metadata-file', metadataFile, '--iidfile', digestFile],
  { env: farm.env, cwd: project },
);

const platform = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
});
const listSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.string(),
  manifests: v.array(
    v.strictObject({ mediaType: v.string(), size: v.number(), digest: v.string(), platform }),
  ),
});
const imageSchema = v.object({
  config: v.object({ digest: v.string() }),
  layers: v.array(v.object({ digest: v.string() })),
});

async function repositories(): Promise<unknown> {
  return (await fetch(`http://${farm.registry}/v2/_catalog`)).json();
}

async function document(repository: string, reference: string) {
  const found = await pullDocument({ host: farm.registry, repository }, reference);
  assert.ok(found, `${repository} has no ${reference}`);
  return { ...found, json: JSON.parse(found.bytes.toString('utf8')) as unknown };
}

test('prints the digest of the list, and nothing else, on stdout', async () => {
  assert.is(built.status, 0, built.stderr);
  const { digest } = await document('onap/py-app', 'latest');
  assert.is(built.stdout, `${digest}\n`);
  assert.is(await readFile(digestFile, 'utf8'), digest);
});

test('publishes a list of exactly the images that the agents pushed under their suffixed names', async () => {
  const list = await document('onap/py-app', 'latest');
  const amd64 = await document('onap/py-app-amd64', 'latest');
  const arm64 = await document('onap/py-app-arm64v8', 'latest');
  const child = 'application/vnd.docker.distribution.manifest.v2+json';
  assert.is(list.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json');
  assert.equal(v.parse(listSchema, list.json), {
    schemaVersion: 2,
    mediaType: list.mediaType,
    manifests: [
      {
        mediaType: child,
        size: amd64.bytes.length,
        digest: amd64.digest,
        platform: { architecture: 'amd64', os: 'linux' },
      },
      {
        mediaType: child,
        size: arm64.bytes.length,
        digest: arm64.digest,
        platform: { architecture: 'arm64', os: 'linux', variant: 'v8' },
      },
    ],
  });
});

test('brings manifests and blobs into a repository that held none of them', async () => {
  assert.equal(repositoriesBefore, { repositories: ['busybox', 'busybox-amd64', 'busybox-arm64v8'] });
  const { json } = await document('onap/py-app', 'latest');
  for (const { digest } of v.parse(listSchema, json).manifests) {
    const child = await document('onap/py-app', digest);
    assert.is(child.digest, digest);
    const { config, layers } = v.parse(imageSchema, child.json);
    for (const blob of [config, ...layers]) {
      const url = `http://${farm.registry}/v2/onap/py-app/blobs/${blob.digest}`;
      assert.is((await fetch(url, { method: 'HEAD' })).status, 200, blob.digest);
    }
  }
});

test('builds on both agents at the same time', async () => {
  const { result } = await metadata();
  const log = await archfarm(['logs', result.build, '--json'], { env: farm.env });
  const frames = framesOf(log.stdout);
  const [amd64, arm64] = ['linux/amd64', 'linux/arm64/v8'].map((name) => step(frames, name));
  assert.ok(amd64 && arm64);
  assert.ok(amd64.from < arm64.to && arm64.from < amd64.to, JSON.stringify({ amd64, arm64 }));
  assert.equal([amd64.agent, arm64.agent], ['a', 'b']);
  assert.equal(
    frames.map(({ seq }) => seq),
    frames.map((_, index) => index + 1),
  );
});

/** When the RUN step of a platform began and ended. */
function step(frames: readonly Frame[], platformName: string) {
  const changes = frames.filter(
    (frame) => frame.type === 'step' && frame.platform === platformName && frame.name.includes('RUN sleep'),
  );
  assert.ok(changes.length >= 2, `${platformName} ran no step`);
  return {
    agent: changes[0]?.agent,
    from: Math.min(...changes.map(({ time }) => time)),
    to: Math.max(...changes.map(({ time }) => time)),
  };
}

async function metadata() {
  const json: unknown = JSON.parse(await readFile(metadataFile, 'utf8'));
  return { json, result: v.parse(buildResultSchema, json) };
}

test('tells scripts about it in the metadata file, and again in show --json', async () => {
  const { json, result } = await metadata();
  const list = await document('onap/py-app', 'latest');
  assert.is(result.status, 'succeeded');
  assert.is(result['image.name'], `${image}:latest`);
  assert.equal(result.tags, [`${image}:latest`]);
  assert.is(result['containerimage.digest'], list.digest);
  assert.equal(result['containerimage.descriptor'], {
    mediaType: list.mediaType,
    digest: list.digest,
    size: list.bytes.length,
  });
  assert.equal(
    result.platforms.map(({ platform: name }) => name),
    ['linux/amd64', 'linux/arm64/v8'],
  );
  for (const [name, suffix, agent, native] of [
    ['linux/amd64', 'amd64', 'a', true],
    ['linux/arm64/v8', 'arm64v8', 'b', false],
  ] as const) {
    const pushed = await document(`onap/py-app-${suffix}`, 'latest');
    const told = platformOf(result, name);
    assert.is(told.status, 'pushed');
    assert.is(told.reference, `${image}-${suffix}:latest`);
    assert.is(told.digest, pushed.digest);
    assert.is(told.size, pushed.bytes.length);
    assert.is(told.config, v.parse(imageSchema, pushed.json).config.digest);
    assert.is(told.agent, agent);
    assert.is(told.native, native);
    assert.equal(told.attempts, [{ agent, outcome: 'pushed' }]);
    assert.equal(Object.keys(told.timings).toSorted(), ['build', 'context', 'push', 'queued']);
    assert.ok((told.timings.build ?? 0) >= 1000, 'the step sleeps for a second');
  }
  const shown = await archfarm(['show', '--json', result.build], { env: farm.env });
  assert.equal(JSON.parse(shown.stdout), json);
});

test('ends with a table that says who built what, and how', async () => {
  const { result } = await metadata();
  const digests = result.platforms.map(({ digest }) => digest ?? '');
  assert.match(built.stderr, /^PLATFORM +AGENT +MODE +TIME +DIGEST$/m);
  assert.match(built.stderr, new RegExp(`^linux/amd64 +a +native +[0-9.]+s +${digests[0]}$`, 'm'));
  assert.match(built.stderr, new RegExp(`^linux/arm64/v8 +b +emulated +[0-9.]+s +${digests[1]}$`, 'm'));
  assert.match(built.stderr, /^\[linux\/amd64\] runs on a \(native\)$/m);
  assert.match(built.stderr, /^\[linux\/arm64\/v8\] runs on b \(emulated\)$/m);
});

test('gives each engine its own image for the same reference', async () => {
  const greeting = 'Hello ONAP. I am a service running on';
  const amd64 = await runImage(farm, { reference: image, platform: 'linux/amd64' });
  assert.is(amd64, `${greeting} x86_64, built on x86_64`);
  const arm64 = await runImage(farm, { reference: image, platform: 'linux/arm64' });
  assert.is(arm64, `${greeting} aarch64, built on aarch64`);
});

test('is inspected in the shape of docker manifest inspect', async () => {
  const verbose = await archfarm(['manifest', 'inspect', '--verbose', image], {
    env: farm.env,
    cwd: directory.path,
  });
  assert.is(verbose.status, 0, verbose.stderr);
  const { json } = await document('onap/py-app', 'latest');
  const children = v.parse(listSchema, json).manifests;
  const shown = v.parse(v.array(v.record(v.string(), v.unknown())), JSON.parse(verbose.stdout));
  assert.is(shown.length, 2);
  for (const [index, child] of children.entries()) {
    const entry = shown[index] ?? {};
    assert.equal(Object.keys(entry), ['Ref', 'Descriptor', 'Raw', 'SchemaV2Manifest']);
    assert.is(entry['Ref'], `${image}:latest@${child.digest}`);
    const { mediaType, digest, size, platform: on } = child;
    assert.equal(entry['Descriptor'], { mediaType, digest, size, platform: on });
    const stored = await document('onap/py-app', digest);
    assert.is(entry['Raw'], stored.bytes.toString('base64'));
    assert.equal(entry['SchemaV2Manifest'], stored.json);
  }
  const plain = await archfarm(['inspect', '--json', image], { env: farm.env });
  assert.equal(JSON.parse(plain.stdout), json);
  const human = await archfarm(['inspect', image], { env: farm.env });
  assert.match(human.stdout, /^ \* Contains 2 manifest references \(2 images, 0 attestation\):$/m);
  const platforms = await archfarm(['platforms', image], { env: farm.env });
  assert.is(platforms.stdout, 'linux/amd64\nlinux/arm64/v8\n');
});

test('the same build again publishes the same digest, from what is there', async () => {
  const again = await archfarm(['build', 'py-app', '--allow-emulation'], { env: farm.env, cwd: project });
  assert.is(again.status, 0, again.stderr);
  assert.is(again.stdout, built.stdout);
  assert.match(again.stderr, /^\[linux\/arm64\/v8 4\/4\] CACHED$/m);
});

test('what the README tells those who built with other tools does what it says', async () => {
  const readme = await documentAt('README.md');
  const hello = await writeFiles(`${directory.path}/hello`, {
    Dockerfile: `FROM ${base}\nCOPY Dockerfile /\n`,
  });
  const replaced = [
    ['registry.lab:5000', farm.registry],
    ['archfarm build ', 'archfarm build --allow-emulation '],
    ['archfarm verify ', 'archfarm verify --allow-emulation '],
    ['logs ID', 'logs $(archfarm builds --quiet --limit 1)'],
  ] as const;
  const commands = codeSpans(sectionOf(readme, '## Coming from elsewhere')).filter((span) =>
    /^archfarm (?:agents$|build |builds|logs|verify)/.test(span),
  );
  assert.ok(commands.length >= 9, commands.join('\n'));
  for (const command of [...commands, blockWith(readme, 'archfarm agents\n')]) {
    const cwd = command.includes('build . ') ? hello : project;
    const shell = await ShownCommands.open({ directory: cwd, env: farm.env, replaced });
    const { status, stderr } = await shell.run(command);
    assert.is(status, 0, `${command}: ${stderr}`);
  }
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** Additional contexts, from the client's disk into images on both platforms: what is seen, and how little is sent. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild, type EndedBuild } from '../support/build-command.ts';
import { listImage } from '../support/image-listing.ts';
import { publishBase } from '../support/image-run.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const directory = await temporaryDirectory();
const project = directory.path;
const base = await publishBase(farm);
const platforms = ['linux/amd64', 'linux/arm64/v8'] as const;
const enginePlatforms = ['linux/amd64', 'linux/arm64'] as const;

await writeFiles(project, {
  'compose.yaml': `services:
  copies:
    image: ${farm.registry}/copies
    build:
      context: app
      additional_contexts:
        lib: shared/lib
        web: ./web
  stage:
    image: ${farm.registry}/stage
    build:
      context: app
      dockerfile: stage.Dockerfile
      additional_contexts:
        - rootfs=web
        - unused=shared/lib
  image:
    image: ${farm.registry}/image
    build: {context: app, additional_contexts: {lib: 'docker-image://busybox'}}
`,
  'app/Dockerfile': `FROM ${base}
COPY . /x/
COPY --from=lib / /copied/
RUN --mount=from=web,target=/web cat /web/index.html > /page
`,
  'app/stage.Dockerfile': 'FROM rootfs\nCOPY own.txt /\n',
  'app/own.txt': 'own\n',
  'shared/lib/a.txt': 'a of lib\n',
  'shared/lib/sub/b.txt': 'b of lib\n',
  'shared/lib/ignored/c.txt': 'nobody sees it\n',
  'shared/lib/.dockerignore': 'ignored\n',
  'web/index.html': '<html>\n',
});

function build(name: string, ...flags: string[]): Promise<EndedBuild> {
  const options = ['--platform', platforms.join(','), '--allow-emulation', ...flags];
  return buildImage([name, ...options], { env: farm.env, cwd: project });
}

/** Paths below a directory of what was published, the same on both platforms. */
async function published(name: string, below: string): Promise<string[]> {
  const reference = `${farm.registry}/${name}`;
  const [amd64, arm64] = await Promise.all(
    enginePlatforms.map((platform) => listImage(farm, { reference, platform }, below)),
  );
  assert.equal(arm64?.listing, amd64?.listing);
  return Object.keys(amd64?.listing ?? {}).toSorted();
}

test('a Dockerfile copies from and mounts contexts that its own context does not show', async () => {
  const { result } = await build('copies');
  assert.equal(await published('copies', '/x'), ['Dockerfile', 'own.txt', 'stage.Dockerfile']);
  assert.equal(await published('copies', '/copied'), ['.dockerignore', 'a.txt', 'sub', 'sub/b.txt']);
  // The Dockerfile, its neighbours and what the two additional contexts hold.
  assert.is(result.context.files, 3 + 3 + 1);
});

test('a second build of what has not changed sends and builds nothing', async () => {
  const { result, frames } = await build('copies');
  assert.is(result.context.sentBytes, 0);
  for (const name of platforms) assert.is(platformOf(result, name).context.sentBytes, 0, name);
  const ran = frames.filter(
    (frame) => frame.type === 'step' && /\] (COPY|RUN)/.test(frame.name) && frame.status === 'done',
  );
  assert.equal(ran, []);
});

test('of an edited file only that and the directories above it are sent', async () => {
  const content = 'A of lib, and more\n';
  await writeFile(join(project, 'shared/lib/a.txt'), content);
  const { result } = await build('copies');
  for (const name of platforms) {
    assert.is(platformOf(result, name).context.sentBytes, content.length, name);
  }
  const { sentBytes } = result.context;
  assert.ok(sentBytes >= content.length && sentBytes < 2000, `${sentBytes} bytes were sent`);
});

test('a context is the base of an image, and one that is not named does not move', async () => {
  await writeFile(join(project, 'shared/lib/large.bin'), Buffer.alloc(1_000_000, 'new'));
  const { result } = await build('stage');
  assert.ok(result.context.sentBytes < 10_000, `${result.context.sentBytes} bytes were sent`);
  const docker = ['etc', 'dev', 'proc', 'sys', '.dockerenv'];
  const found = (await published('stage', '/')).filter((path) => !docker.includes(path.split('/')[0] ?? ''));
  assert.equal(found, ['index.html', 'own.txt']);
});

test('--build-context adds to and replaces those of the project file', async () => {
  await writeFiles(project, { 'other/other.txt': 'other\n' });
  await build('copies', '--build-context', 'lib=other', '--pull');
  assert.equal(await published('copies', '/copied'), ['other.txt']);
});

test('what is no directory is an error that names the context and says what to do', async () => {
  const env = { env: farm.env, cwd: project };
  const image = await archfarm(['build', 'image'], env);
  assert.is(image.status, 2);
  assert.match(
    image.stderr,
    /compose\.yaml:\d+:\d+: services\.image\.build\.additional_contexts\.lib: .*is an image/,
  );
  assert.match(image.stderr, 'FROM IMAGE AS lib');
  const missing = await archfarm(['build', 'copies', '--build-context', 'lib=nowhere'], env);
  assert.is(missing.status, 2);
  assert.match(missing.stderr, /additional context lib: .*nowhere/);
  const url = await archfarm(['build', 'copies', '--build-context', 'lib=https://x.test/a.git'], env);
  assert.is(url.status, 2);
  assert.match(url.stderr, /lib is a URL/);
});

test('a build without a server has them too', async () => {
  const reference = `${farm.registry}/alone`;
  const alone = {
    ...farm.env,
    ARCHFARM_COORDINATOR: undefined,
    DOCKER_HOST: farm.engines['linux/amd64'].host,
  };
  const { status, stderr } = await runBuild(['copies', '-t', reference], { env: alone, cwd: project });
  assert.is(status, 0, stderr);
  const { listing } = await listImage(farm, { reference, platform: 'linux/amd64' }, '/copied');
  assert.ok('large.bin' in listing);
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** What project files say, in images of both platforms: per-platform overrides, Dockerfiles in the file, bake targets. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage } from '../support/build-command.ts';
import { publishBase, runImage, type TestPlatform } from '../support/image-run.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const directory = await temporaryDirectory();
const project = directory.path;
const base = await publishBase(farm);
const platforms: readonly TestPlatform[] = ['linux/amd64', 'linux/arm64'];

await writeFiles(project, {
  'compose.yaml': `services:
  differs: &differs
    image: ${farm.registry}/differs
    build: &build
      context: app
      platforms: [linux/amd64, linux/arm64]
      args: {WHO: all, WHAT: all}
      target: final
    x-archfarm:
      suffix: tag
      per-platform:
        linux/arm64:
          dockerfile: docker/arm.Dockerfile
          args: {WHO: arm}
          target: small
  tarred:
    <<: *differs
    image: ${farm.registry}/tarred
    build: {<<: *build, context: app.tar}
  inline:
    image: ${farm.registry}/inline
    build:
      context: app
      platforms: [linux/amd64, linux/arm64]
      dockerfile_inline: |
        FROM ${base}
        COPY own.txt /said
`,
  'docker-bake.json': JSON.stringify({
    variable: { TAG: { default: 'none' } },
    group: { release: { targets: ['baked'] } },
    target: {
      _common: {
        context: 'app',
        platforms: ['linux/amd64', 'linux/arm64'],
        args: { WHO: 'bake', WHAT: 'x' },
      },
      baked: {
        inherits: ['_common'],
        args: { WHAT: '${TAG}' },
        target: 'final',
        tags: [`${farm.registry}/baked:\${TAG}`],
      },
    },
  }),
  'app/own.txt': 'own file\n',
  'app/Dockerfile': `FROM ${base} AS final
ARG WHO WHAT
RUN echo "$WHO $WHAT of the main Dockerfile" >/said
`,
  'app/docker/arm.Dockerfile': `FROM ${base} AS small
ARG WHO WHAT
RUN echo "$WHO $WHAT of the small stage" >/said
COPY own.txt /own.txt
FROM small AS final
RUN exit 1
`,
});
execFileSync('tar', ['-C', join(project, 'app'), '-cf', join(project, 'app.tar'), '.']);

async function said(image: string): Promise<string[]> {
  const reference = `${farm.registry}/${image}`;
  const outputs = platforms.map((platform) => runImage(farm, { reference, platform }, 'cat', '/said'));
  return Promise.all(outputs);
}

function build(...args: string[]): ReturnType<typeof buildImage> {
  return buildImage([...args, '--allow-emulation'], { env: farm.env, cwd: project });
}

test('a platform has its own Dockerfile, stage and arguments over those of all', async () => {
  const { result } = await build('differs');
  assert.equal(await said('differs'), ['all all of the main Dockerfile', 'arm all of the small stage']);
  assert.equal(
    result.platforms.map(({ reference }) => reference),
    [`${farm.registry}/differs:latest-amd64`, `${farm.registry}/differs:latest-arm64v8`],
  );
});

test('flags go before what the file says of one platform', async () => {
  await build(
    'differs',
    '--target',
    'small',
    '--build-arg',
    'WHO=flag',
    '--platform',
    'linux/arm64',
    '--force',
  );
  const reference = `${farm.registry}/differs`;
  const output = await runImage(farm, { reference, platform: 'linux/arm64' }, 'cat', '/said', '/own.txt');
  assert.is(output, 'flag all of the small stage\nown file');
});

test('an archive holds the Dockerfiles of all platforms', async () => {
  await build('tarred');
  assert.equal(await said('tarred'), ['all all of the main Dockerfile', 'arm all of the small stage']);
});

test('a Dockerfile in the Compose file builds with the files of the context', async () => {
  await build('inline');
  assert.equal(await said('inline'), ['own file', 'own file']);
});

test('a bake target builds with what it inherits and with the environment, by the name of its group too', async () => {
  const env = { ...farm.env, TAG: 'v2' };
  const flags = ['release', '--allow-emulation'];
  await buildImage(flags, { env, cwd: project });
  assert.equal(await said('baked:v2'), Array(2).fill('bake v2 of the main Dockerfile'));
});

test('--dry-run shows what each platform would be built of', async () => {
  const { stdout, status, stderr } = await archfarm(['build', 'differs', '--allow-emulation', '--dry-run'], {
    env: farm.env,
    cwd: project,
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^PLATFORM +DOCKERFILE +TARGET +ARGUMENTS$/m);
  assert.match(stdout, /^linux\/amd64 +app\/Dockerfile +final +WHO=all WHAT=all$/m);
  assert.match(stdout, /^linux\/arm64\/v8 +app\/docker\/arm\.Dockerfile +small +WHO=arm WHAT=all$/m);
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** Images are tested where they were built, and pushed only if they pass. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild, startBuild, type EndedBuild } from '../support/build-command.ts';
import { publishBase } from '../support/image-run.ts';
import { pullDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

const run = promisify(execFile);
const farm = await startFarm();
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const { env } = farm;
const platforms = ['linux/amd64', 'linux/arm64/v8'];
const both = ['--platform', platforms.join(','), '--allow-emulation'];

function context(name: string, ...steps: readonly string[]): Promise<string> {
  const dockerfile = [`FROM ${base}`, 'ARG TARGETARCH', ...steps, ''].join('\n');
  return writeFiles(`${directory.path}/${name}`, { Dockerfile: dockerfile });
}

function isThere(repository: string): Promise<boolean> {
  return pullDocument({ host: farm.registry, repository }, 'latest').then((found) => found !== undefined);
}

/** Sorted: what a test writes to one stream may overtake what it wrote to the other. */
function testOutput({ frames }: EndedBuild, platform: string): string[] {
  return frames
    .flatMap((frame) =>
      frame.type === 'log' && frame.step === 'test' && frame.platform === platform ? [frame.text] : [],
    )
    .toSorted();
}

/** Containers of tests on both engines. */
async function containers(): Promise<string> {
  const lists = Object.values(farm.engines).map(({ host }) =>
    run('docker', ['-H', host, 'ps', '-aq', '--filter', 'label=archfarm.run']),
  );
  return (await Promise.all(lists)).map(({ stdout }) => stdout).join('');
}

test('an image is pushed once its test has passed on every platform', async () => {
  const path = await context('passes', 'RUN echo "$TARGETARCH" >/built', 'ENTRYPOINT ["/none"]');
  const tag = ['-t', `${farm.registry}/passes`];
  const build = await buildImage([...tag, ...both, '--test', 'cat /built; uname -m >&2', path], { env });
  assert.equal(testOutput(build, 'linux/amd64'), ['amd64', 'x86_64']);
  assert.equal(testOutput(build, 'linux/arm64/v8'), ['aarch64', 'arm64']);
  for (const platform of platforms) assert.ok((platformOf(build.result, platform).timings.test ?? 0) > 0);
  const untested = await buildImage([...tag, ...both, path], { env });
  assert.is(platformOf(untested.result, 'linux/amd64').timings.test, undefined);
  assert.is(await containers(), '');
});

test('a failing test fails the build, which says where, and pushes nothing from there', async () => {
  const path = await context('fails', 'RUN echo "$TARGETARCH" >/built');
  const flags = ['-t', `${farm.registry}/fails`, ...both, '--test', 'echo seen; grep amd64 /built'];
  const failed = await archfarm(['build', ...flags, path], { env });
  assert.is(failed.status, 1, failed.stderr);
  const report = failed.stderr.slice(failed.stderr.lastIndexOf('PLATFORM'));
  assert.match(report, /^linux\/amd64 +a +native .* sha256:/m);
  assert.match(report, /^linux\/arm64\/v8 failed on b: \[test\] echo seen; grep amd64 \/built\n +│ seen$/m);
  assert.match(report, /the test ended with exit code 1/);
  assert.ok(await isThere('fails-amd64'));
  assert.not.ok(await isThere('fails-arm64v8'));
  assert.not.ok(await isThere('fails'));

  const told = await runBuild([...flags, path], { env });
  const { error, attempts } = platformOf(told.result, 'linux/arm64/v8');
  assert.is(error?.code, 'test-failed');
  assert.is(attempts.length, 1, 'it would fail elsewhere as well');
});

test('the project file has a test for an image without a shell, and flags replace it', async () => {
  const compose = [
    'services:',
    '  bare:',
    `    image: ${farm.registry}/bare`,
    '    build:',
    '      context: .',
    `      platforms: [${platforms.join(', ')}]`,
    '    x-archfarm:',
    '      test: {command: ["/busybox", "uname", "-m"], timeout: 1m}',
  ];
  const dockerfile = [`FROM ${base} AS base`, 'FROM scratch', 'COPY --from=base /bin/busybox /busybox', ''];
  const cwd = await writeFiles(`${directory.path}/bare`, {
    'compose.yaml': compose.join('\n'),
    Dockerfile: dockerfile.join('\n'),
  });
  const build = await buildImage(['bare', '--allow-emulation'], { env, cwd });
  assert.equal(testOutput(build, 'linux/amd64'), ['x86_64']);
  assert.equal(testOutput(build, 'linux/arm64/v8'), ['aarch64']);
  const other = await runBuild(['bare', '--allow-emulation', '--test', 'true'], { env, cwd });
  assert.is(other.status, 1);
  assert.match(platformOf(other.result, 'linux/amd64').error?.message ?? '', /exec: "\/bin\/sh"/);
});

test('what a test of a killed agent runs is gone when the agent starts again', async () => {
  const path = await context('killed', 'RUN true');
  const flags = [
    '-t',
    `${farm.registry}/killed`,
    '--platform',
    'linux/amd64',
    '--test',
    'echo up; sleep 9999',
  ];
  await using build = startBuild([...flags, path], { env });
  await build.logged('up', ['linux/amd64']);
  const agent = farm.agents.get('a');
  const [left] = (await containers()).split('\n');
  assert.ok(agent !== undefined && left !== undefined && left !== '');
  agent.kill('SIGKILL');
  await agent.ended;
  assert.match(await containers(), left, 'nobody else removes it');
  await agent.restart();
  await until(async () => !(await containers()).includes(left), { what: 'the container is swept' });
  build.kill('SIGINT');
  assert.is((await build.ended()).status, 130);
  await until(async () => (await containers()) === '', { what: 'no container is left' });
});

test('gives the farm back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** Images are tested where they were built, and pushed only if they pass. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { buildResultSchema } from '../../coordinator/cli/api-answers.ts';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild, startBuild, type EndedBuild } from '../support/build-command.ts';
import { testAuthority } from '../support/certificates.ts';
import { github, gitlab, jenkins, type Recipe, type Workplace } from '../support/ci-recipes.ts';
import { publishBase } from '../support/image-run.ts';
import { pullDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { startTlsProxy } from '../support/tls-proxy.ts';
import { until } from '../support/until.ts';
import { readLog } from '../support/workflow-runner.ts';
import { writeFiles } from '../support/write-files.ts';

const run = promisify(execFile);
const farm = await startFarm();
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const { env } = farm;
const authority = await testAuthority();
const { certificate: cert, key } = await authority.sign('DNS:localhost');
const proxy = await startTlsProxy(farm.coordinator, { cert, key });
const ciToken = await tokenOf('ci');
const platforms = ['linux/amd64', 'linux/arm64/v8'];
const both = ['--platform', platforms.join(','), '--allow-emulation'];

function context(name: string, ...steps: readonly string[]): Promise<string> {
  const dockerfile = [`FROM ${base}`, 'ARG TARGETARCH', ...steps, ''].join('\n');
  return writeFiles(`${directory.path}/${name}`, { Dockerfile: dockerfile });
}

/** Of a new user who may build. */
async function tokenOf(user: string): Promise<string> {
  const flags = ['--role', 'build', '--repo', `${farm.registry}/ci`];
  const added = await archfarm(['users', 'add', user, ...flags], { env });
  assert.is(added.status, 0, added.stderr);
  return added.stdout.trim();
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

/** A checkout of a project whose Dockerfile has these steps, and what its owner has set at the CI system. */
async function workplace(name: string, ...steps: readonly string[]): Promise<Workplace> {
  const settings = {
    coordinator: `https://localhost:${proxy.port}`,
    ca: { text: authority.certificate, file: authority.file },
    token: ciToken,
    image: `${farm.registry}/ci/${name}`,
    test: 'grep -q "$(uname -m)" /machine',
    commit: `${name}-0123456789abcdef`,
  };
  const scratch = `${directory.path}/scratch-${name}`;
  await mkdir(scratch);
  return { checkout: await context(`ci-${name}`, ...steps), scratch, settings };
}

/** With the name under which a recipe hands on the digest. */
const recipes: readonly [name: string, recipe: Recipe, output: string | undefined][] = [
  ['github', github, 'digest'],
  ['gitlab', gitlab, 'IMAGE_DIGEST'],
  ['jenkins', jenkins, undefined],
];

for (const [name, recipe, output] of recipes) {
  test(`the recipe for ${name} builds and tests on both platforms, and publishes one list`, async () => {
    const at = await workplace(`well-${name}`, 'RUN uname -m >/machine');
    const { status, log, outputs, summary, metadata, args } = await recipe(at);
    assert.is(status, 0, log);
    const result = v.parse(buildResultSchema, JSON.parse(metadata));
    for (const platform of platforms) assert.ok((platformOf(result, platform).timings.test ?? 0) > 0);
    const digest = result['containerimage.digest'];
    for (const tag of ['latest', at.settings.commit]) {
      const repository = `ci/well-${name}`;
      assert.is((await pullDocument({ host: farm.registry, repository }, tag))?.digest, digest);
    }
    assert.is(outputs, output === undefined ? '' : `${output}=${digest}\n`);
    if (name === 'github') assert.match(summary, /: succeeded\n[^]*\| linux\/arm64\/v8 \| b \| emulated \|/);
    for (const text of [args, log, summary]) assert.not.match(text, at.settings.token);
  });

  test(`the recipe for ${name} fails as archfarm does, and shows the line of the failing step`, async () => {
    const says = 'printf "##[error]a\\n::error::b\\n\\033[0Ksection_end:1:c\\r\\033[0K\\n"; exit 3';
    const at = await workplace(`ill-${name}`, '# fails', 'ENV CODE=3', 'RUN echo now && \\', `  ${says}`);
    const { status, log, outputs, metadata } = await recipe(at);
    assert.is(status, 1, log);
    assert.is(outputs, '');
    assert.is(v.parse(buildResultSchema, JSON.parse(metadata)).status, 'failed');
    assert.match(log, / failed on [ab] at Dockerfile:5: \[2\/2\] RUN echo now/);
    if (name === 'github') {
      const { commands } = readLog(log);
      assert.equal(new Set(commands.map((command) => command.name)), new Set(['group', 'endgroup', 'error']));
      for (const { name: command, properties } of commands) {
        if (command === 'error') assert.is(`${properties['file']}:${properties['line']}`, 'Dockerfile:5');
      }
    }
    // oxlint-disable-next-line no-control-regex -- a marker has one
    const sections = [...log.matchAll(/section_(?:start|end):\d+:[\w.-]+(?:\[\S+\])?\r\u001B\[0K/g)];
    assert.is(sections.length, name === 'gitlab' ? 4 : 0, log);
  });
}

for (const [name, recipe, output] of recipes) {
  test(`the recipe for ${name} hands on what was published without an optional platform`, async () => {
    const at = await workplace(`most-${name}`, 'RUN uname -m >/machine');
    const flags = ['--optional', 'linux/s390x', '--wait-agent', '0s'];
    const { status, log, outputs, metadata } = await recipe({ ...at, flags });
    assert.is(status, 5, log);
    const result = v.parse(buildResultSchema, JSON.parse(metadata));
    assert.is(outputs, output === undefined ? '' : `${output}=${result['containerimage.digest']}\n`);
  });
}

test('a job that is cancelled cancels the build', async () => {
  const at = await workplace('cancelled', 'RUN sleep 100');
  const { status, log } = await github(at, { at: 'RUN sleep 100', signal: 'SIGINT' });
  assert.is(status, 130, log);
  assert.match(log, /^archfarm: cancelled: /m);
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
  await proxy[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

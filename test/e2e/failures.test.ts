/** Builds that end badly: what is said, what is kept, and that nothing goes on. */
import { randomInt } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild, startBuild } from '../support/build-command.ts';
import { publishBase } from '../support/image-run.ts';
import { pullDocument } from '../support/sample-image.ts';
import { stepProcesses } from '../support/step-processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

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

/** A step that would run for hours, findable by its number. */
async function endless(name: string): Promise<{ path: string; command: string }> {
  const command = `sleep 7${randomInt(10_000, 99_999)}`;
  return { path: await context(name, `RUN echo sleeping; ${command}`), command };
}

/** Containers of the step on both engines. */
async function containers(command: string): Promise<number[]> {
  const found = Object.values(farm.engines).map((engine) => stepProcesses(engine, command));
  return (await Promise.all(found)).flat();
}

async function assertRunning(command: string): Promise<void> {
  for (const engine of Object.values(farm.engines)) {
    assert.ok(
      (await stepProcesses(engine, command)).length > 0,
      'its container is not where it is looked for',
    );
  }
}

async function assertGoneSoon(command: string): Promise<void> {
  const isGone = async (): Promise<boolean> => (await containers(command)).length === 0;
  await until(isGone, { timeout: 5_000, what: 'the containers are gone' });
  const isFree = async (): Promise<boolean> => {
    const { stdout } = await archfarm(['agents', '--json'], { env });
    return stdout.match(/"busy": ?0/g)?.length === 2;
  };
  await until(isFree, { what: 'all slots are free again' });
}

function tagged(repository: string): Promise<{ digest: string } | undefined> {
  return pullDocument({ host: farm.registry, repository }, 'latest');
}

test('a step that fails on one platform fails the build, which says where, and publishes nothing', async () => {
  const tag = ['-t', `${farm.registry}/partly`];
  const good = await buildImage([...tag, ...both, await context('good', 'RUN true')], { env });
  const step = 'RUN echo "built for $TARGETARCH"; seq 101 140; [ $TARGETARCH = amd64 ]';
  const broken = await context('broken', step);
  const failed = await archfarm(['build', ...tag, ...both, broken], { env });

  assert.is(failed.status, 1, failed.stderr);
  assert.is(failed.stdout, '');
  const report = failed.stderr.slice(failed.stderr.lastIndexOf('PLATFORM'));
  assert.match(report, /^linux\/amd64 +a +native .* sha256:/m);
  assert.match(report, /^linux\/arm64\/v8 +b +emulated .* failed$/m);
  assert.match(report, /^linux\/arm64\/v8 failed on b at \S*Dockerfile:\d+: \[2\/2\] RUN echo "built for/m);
  assert.match(report, /^ *│ 111\n( *│ \d+\n)* *│ 140$/m);
  assert.not.match(report, /│ 110$/m);
  assert.match(report, /^archfarm: the build failed: /m);
  assert.not.match(report, /^linux\/amd64 failed/m);

  assert.is((await tagged('partly'))?.digest, good.result['containerimage.digest']);
  const id = /^\[build (\w+)\]/m.exec(failed.stderr)?.[1] ?? '';
  const log = await archfarm(['logs', id], { env });
  assert.match(log.stdout, /^\[linux\/amd64 2\/2\] [0-9.]+ built for amd64$/m);
  assert.match(log.stdout, /^\[linux\/arm64\/v8 2\/2\] [0-9.]+ built for arm64$/m);
  const shown = await archfarm(['show', '--json', id], { env });
  assert.match(shown.stdout, /"status": "failed"/);
});

test('a build that never worked leaves no final tag', async () => {
  const build = await runBuild(
    ['-t', `${farm.registry}/never`, ...both, await context('never', 'RUN false')],
    {
      env,
    },
  );
  assert.is(build.status, 1, build.stderr);
  assert.is(build.result.status, 'failed');
  for (const name of platforms) {
    const told = platformOf(build.result, name);
    assert.is(told.error?.code, 'build-failed');
    assert.is(told.attempts.length, 1, 'another host would fail as well');
  }
  assert.is(await tagged('never'), undefined);
});

test('Ctrl-C cancels the build, ends its containers and exits 130', async () => {
  const { path, command } = await endless('interrupted');
  await using build = startBuild(['-t', `${farm.registry}/interrupted`, ...both, path], { env });
  await build.logged('sleeping', platforms);
  await assertRunning(command);
  build.kill('SIGINT');
  await assertGoneSoon(command);
  const ended = await build.ended();
  assert.is(ended.status, 130, ended.stderr);
  assert.is(ended.result.status, 'cancelled');
  assert.is(ended.stdout, '');
  assert.is(await tagged('interrupted'), undefined);
});

test('archfarm cancel ends a build that somebody else follows', async () => {
  const { path, command } = await endless('cancelled');
  await using build = startBuild(['-t', `${farm.registry}/cancelled`, ...both, path], { env });
  await build.logged('sleeping', platforms);
  await assertRunning(command);
  const id = await build.id();
  const cancel = await archfarm(['cancel', id.slice(0, 8)], { env });
  assert.equal(cancel, { status: 0, stdout: `${id}\n`, stderr: '' });
  await assertGoneSoon(command);
  const ended = await build.ended();
  assert.is(ended.status, 130, ended.stderr);
  for (const name of platforms) assert.is(platformOf(ended.result, name).status, 'cancelled');
});

test('--timeout ends a build that takes longer, with exit 4', async () => {
  const { path, command } = await endless('slow');
  const timeout = ['--timeout', '15s', '--platform', 'linux/amd64'];
  const started = performance.now();
  await using build = startBuild(['-t', `${farm.registry}/slow`, ...timeout, path], { env });
  await build.logged('sleeping', ['linux/amd64']);
  const ended = await build.ended();
  assert.is(ended.status, 4, ended.stderr);
  assert.ok(performance.now() - started < 40_000, 'it waited for longer than it was told');
  assert.is(ended.result.status, 'failed');
  assert.is(ended.result.error?.code, 'timeout');
  assert.match(
    ended.result.error?.message ?? '',
    /^the build for linux\/amd64 took longer than 15 s on agent a$/,
  );
  await assertGoneSoon(command);
});

test('a platform that no agent has is waited for, then exit 4 says which agents there are', async () => {
  const wanted = ['--platform', 'linux/amd64,linux/s390x', '--wait-agent', '1s'];
  const path = await context('elsewhere', 'RUN true');
  const build = await archfarm(['build', '-t', `${farm.registry}/elsewhere`, ...wanted, path], { env });
  assert.is(build.status, 4, build.stderr);
  assert.match(
    build.stderr,
    /no agent for linux\/s390x; agents: a \(linux\/amd64\), b \(linux\/arm64\/v8 emulated\)/,
  );
  assert.match(build.stderr, /^ +start archfarm-agent on a linux\/s390x host/m);
  assert.is(await tagged('elsewhere'), undefined);
});

test('a platform that is only emulated is refused unless that is allowed', async () => {
  const wanted = ['--platform', 'linux/arm64', '--wait-agent', '1s'];
  const path = await context('emulated', 'RUN true');
  const build = await archfarm(['build', '-t', `${farm.registry}/emulated`, ...wanted, path], { env });
  assert.is(build.status, 4, build.stderr);
  assert.match(build.stderr, /^ +agent b emulates linux\/arm64\/v8: --allow-emulation lets it build$/m);
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

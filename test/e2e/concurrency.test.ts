/** Several things at once on one farm, and agents that come and go meanwhile. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import type { Frame } from '../../shared/progress.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, startBuild, type EndedBuild } from '../support/build-command.ts';
import { publishBase, runImage, type TestPlatform } from '../support/image-run.ts';
import { pullDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm({
  agents: [
    { name: 'two', engine: 'linux/amd64', platforms: ['linux/amd64', 'linux/arm64'], slots: 4 },
    { name: 'other', engine: 'linux/arm64', platforms: ['linux/arm64'], slots: 2 },
  ],
});
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const { env } = farm;
const platforms = ['linux/amd64', 'linux/arm64/v8'];
const both = ['--platform', platforms.join(','), '--allow-emulation'];

/** An image that prints its name and the machine it was built on. */
function context(name: string, step: string): Promise<string> {
  const run = `RUN ${step}; echo "${name} on $(uname -m)" >/name`;
  const dockerfile = [`FROM ${base}`, `COPY . /context`, run, 'CMD ["cat", "/name", "/context/content"]', ''];
  return writeFiles(`${directory.path}/${name}`, {
    Dockerfile: dockerfile.join('\n'),
    content: `content of ${name}\n`,
  });
}

/** Runs what a build published, by the digest of its result. */
async function output(repository: string, build: EndedBuild, platform: TestPlatform): Promise<string> {
  const reference = `${farm.registry}/${repository}@${build.stdout.trim()}`;
  return runImage(farm, { reference, platform });
}

/** When something of a platform's build was going on. */
function busyTime({ frames }: EndedBuild, platform: string): { from: number; to: number } {
  const steps = frames.filter((frame: Frame) => frame.type === 'step' && frame.platform === platform);
  const times = steps.map(({ time }) => time);
  assert.ok(times.length > 0);
  return { from: Math.min(...times), to: Math.max(...times) };
}

test('two builds at once on one farm each publish their own images', async () => {
  const [left, right] = await Promise.all(
    ['left', 'right'].map(async (name) => {
      const path = await context(name, 'sleep 1');
      return buildImage(['-t', `${farm.registry}/${name}`, ...both, path], { env });
    }),
  );
  assert.ok(left && right);
  const [first, second] = [left, right].map((build) => busyTime(build, 'linux/amd64'));
  assert.ok(first && second && first.from < second.to && second.from < first.to, 'they ran at the same time');
  for (const [name, build] of Object.entries({ left, right })) {
    assert.is(await output(name, build, 'linux/amd64'), `${name} on x86_64\ncontent of ${name}`);
    assert.is(await output(name, build, 'linux/arm64'), `${name} on aarch64\ncontent of ${name}`);
  }
});

test('two builds of one tag at once on one agent never publish each other, and the newer has the tag', async () => {
  const tag = ['-t', `${farm.registry}/shared:tag`, '--platform', 'linux/amd64'];
  await using older = startBuild([...tag, await context('older', 'echo started; sleep 3')], { env });
  await older.logged('started', ['linux/amd64']);
  const newer = await buildImage([...tag, await context('newer', 'sleep 2')], { env });
  const first = await older.ended();

  assert.is(platformOf(newer.result, 'linux/amd64').agent, 'two');
  assert.is(platformOf(first.result, 'linux/amd64').agent, 'two');
  const [before, after] = [busyTime(first, 'linux/amd64'), busyTime(newer, 'linux/amd64')];
  assert.ok(after.from < before.to, 'they ran at the same time');
  assert.is(first.status, 0, first.stderr);
  for (const [name, build] of Object.entries({ older: first, newer })) {
    const { digest } = platformOf(build.result, 'linux/amd64');
    const reference = `${farm.registry}/shared-amd64@${digest}`;
    const printed = await runImage(farm, { reference, platform: 'linux/amd64' });
    assert.is(printed, `${name} on x86_64\ncontent of ${name}`);
    if (build.result.status === 'superseded') continue;
    assert.is(await output('shared', build, 'linux/amd64'), printed);
  }
  assert.is(newer.result.status, 'succeeded');
  const tagged = await pullDocument({ host: farm.registry, repository: 'shared' }, 'tag');
  assert.is(tagged?.digest, newer.result['containerimage.digest']);
});

test('an older build that ends after a newer one leaves the tag alone, and says so', async () => {
  const tag = ['-t', `${farm.registry}/overtaken`, '--platform', 'linux/amd64'];
  await using older = startBuild([...tag, await context('slow', 'echo started; sleep 6')], { env });
  await older.logged('started', ['linux/amd64']);
  const newer = await buildImage([...tag, await context('quick', 'true')], { env });
  const first = await older.ended();
  assert.is(first.status, 0, first.stderr);
  assert.is(first.result.status, 'superseded');
  assert.is(first.stdout, '');
  const last = first.frames.findLast((frame) => frame.type === 'state');
  assert.match(String(last?.type === 'state' && last.reason), /^a newer build has published .*overtaken/);
  const tagged = await pullDocument({ host: farm.registry, repository: 'overtaken' }, 'latest');
  assert.is(tagged?.digest, newer.result['containerimage.digest']);
});

test('builds of one tag that end at the same moment each push and publish their own image', async () => {
  const names = ['one', 'two', 'three', 'four'];
  // Late enough for all to be there, and the same for all: that is when they reach for the tag together.
  const moment = Math.ceil(Date.now() / 1000) + 6;
  const wait = `while [ "$(busybox date +%s)" -lt ${moment} ]; do busybox usleep 5000; done`;
  const builds = await Promise.all(
    names.map(async (name) => {
      const path = await context(name, wait);
      return buildImage(['-t', `${farm.registry}/crowd`, '--platform', 'linux/amd64', path], { env });
    }),
  );
  for (const [index, build] of builds.entries()) {
    const name = names[index] ?? '';
    const { digest, attempts } = platformOf(build.result, 'linux/amd64');
    assert.equal(attempts, [{ agent: 'two', outcome: 'pushed' }], name);
    const reference = `${farm.registry}/crowd-amd64@${digest}`;
    const printed = await runImage(farm, { reference, platform: 'linux/amd64' });
    assert.is(printed, `${name} on x86_64\ncontent of ${name}`);
    if (build.result.status === 'superseded') continue;
    assert.is(await output('crowd', build, 'linux/amd64'), printed);
  }
  const newest = builds.toSorted((left, right) => left.result.created - right.result.created).at(-1);
  const tagged = await pullDocument({ host: farm.registry, repository: 'crowd' }, 'latest');
  assert.is(tagged?.digest, newest?.result['containerimage.digest']);
});

test('an idle agent that is told to stop is gone at once, and one agent with two platforms builds both', async () => {
  const agent = farm.agents.get('other');
  agent?.kill('SIGTERM');
  assert.is(await agent?.ended, 'exit code 0');
  const path = await context('alone', 'true');
  const build = await buildImage(['-t', `${farm.registry}/alone`, ...both, path], { env });
  for (const [name, native] of [
    ['linux/amd64', true],
    ['linux/arm64/v8', false],
  ] as const) {
    const told = platformOf(build.result, name);
    assert.equal([told.agent, told.native], ['two', native]);
  }
  assert.is(await output('alone', build, 'linux/amd64'), 'alone on x86_64\ncontent of alone');
  assert.is(await output('alone', build, 'linux/arm64'), 'alone on aarch64\ncontent of alone');
});

test('an agent that was killed between builds builds again when it is back', async () => {
  const agent = farm.agents.get('two');
  const path = await context('revived', 'true');
  agent?.kill('SIGKILL');
  assert.is(await agent?.ended, 'signal SIGKILL');
  await agent?.restart();
  const build = await buildImage(['-t', `${farm.registry}/revived`, ...both, path], { env });
  assert.is(await output('revived', build, 'linux/amd64'), 'revived on x86_64\ncontent of revived');
  for (const name of platforms) assert.equal(platformOf(build.result, name).attempts.length, 1);
});

test('an agent that is told to stop while it builds ends its work first, and takes no more', async () => {
  const agent = farm.agents.get('two');
  const path = await context('drained', 'echo started; sleep 3');
  const options = ['-t', `${farm.registry}/drained`, '--platform', 'linux/amd64'];
  await using build = startBuild([...options, path], { env });
  await build.logged('started', ['linux/amd64']);
  agent?.kill('SIGTERM');
  const late = await archfarm(
    ['build', '-t', `${farm.registry}/late`, '--platform', 'linux/amd64', '--wait-agent', '1s', path],
    { env },
  );
  assert.is(late.status, 4, late.stderr);
  assert.match(late.stderr, /two \(linux\/amd64, linux\/arm64\/v8 emulated, draining/);
  const ended = await build.ended();
  assert.is(ended.status, 0, ended.stderr);
  assert.is(await output('drained', ended, 'linux/amd64'), 'drained on x86_64\ncontent of drained');
  assert.is(await agent?.ended, 'exit code 0');
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** What was published is run on an agent of every platform, by digest, and leaves nothing behind there. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild } from '../support/build-command.ts';
import { publishBase } from '../support/image-run.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

const run = promisify(execFile);
const farm = await startFarm();
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const { env, registry } = farm;
const both = ['--platform', 'linux/amd64,linux/arm64/v8', '--allow-emulation'];

function context(name: string, ...steps: readonly string[]): Promise<string> {
  const dockerfile = [`FROM ${base}`, ...steps, ''].join('\n');
  return writeFiles(`${directory.path}/${name}`, { Dockerfile: dockerfile });
}

/** Of both engines: names with digests, and containers of ours. */
async function left(): Promise<string[]> {
  const ask = async (host: string, ...command: readonly string[]): Promise<string[]> =>
    (await run('docker', ['-H', host, ...command])).stdout.split('\n').filter((line) => line !== '');
  const hosts = Object.values(farm.engines).map(({ host }) => host);
  const found = await Promise.all(
    hosts.flatMap((host) => [
      ask(host, 'images', '--digests', '--format', '{{.Repository}}@{{.Digest}}'),
      ask(host, 'ps', '-aq', '--filter', 'label=archfarm.run'),
    ]),
  );
  return found.flat().toSorted();
}

test('a published image is pulled by digest and runs its command on every platform', async () => {
  const path = await context('proven', 'CMD ["/bin/busybox", "false"]');
  const built = await buildImage(['-t', `${registry}/proven`, ...both, path], { env });
  const before = await left();
  const verify = ['verify', `${registry}/proven`, '--allow-emulation'];
  const shown = await archfarm([...verify, '--run', 'echo hello; uname -m'], { env });
  assert.is(shown.status, 0, shown.stderr);
  assert.match(shown.stdout, /^linux\/amd64 +a +native +\S+ +passed: x86_64$/m);
  assert.match(shown.stdout, /^linux\/arm64\/v8 +b +emulated +\S+ +passed: aarch64$/m);
  assert.match(shown.stderr, /^\[linux\/amd64\] hello$/m);
  assert.match(
    shown.stderr,
    new RegExp(`@${built.result['containerimage.digest']}: linux/amd64, linux/arm64/v8`),
  );
  assert.equal(await left(), before, 'nothing of it stays');

  const failed = await archfarm([...verify, '--json'], { env });
  assert.is(failed.status, 1, failed.stderr);
  assert.match(
    failed.stderr,
    /verify of (linux\/\S+) on [ab]: the image for \1 ended with exit code 1 \(and 1 more\)/,
  );
  const { platforms } = JSON.parse(failed.stdout);
  assert.equal(
    platforms.map(({ platform, status }: { platform: string; status: string }) => [platform, status]),
    [
      ['linux/amd64', 'failed'],
      ['linux/arm64/v8', 'failed'],
    ],
  );
  assert.equal(await left(), before);
});

test('an image that starts by itself passes by its end, its health or by being up', async () => {
  const cases = [
    { name: 'ends', steps: ['CMD ["/bin/busybox", "echo", "done"]'], says: 'passed: done' },
    { name: 'stays', steps: ['CMD ["/bin/busybox", "sleep", "9999"]'], says: 'passed (up)' },
    {
      name: 'healthy',
      steps: [
        'HEALTHCHECK --interval=1s --retries=60 CMD ["/bin/busybox", "test", "-f", "/tmp/ready"]',
        `CMD ["/bin/sh", "-c", "mkdir -p /tmp; sleep 6; : >/tmp/ready; echo ready; exec sleep 9999"]`,
      ],
      says: 'passed: ready',
    },
    {
      name: 'sick',
      steps: [
        'HEALTHCHECK --interval=1s --retries=1 CMD ["/bin/sh", "-c", "echo no good; exit 1"]',
        'CMD ["/bin/busybox", "sleep", "9999"]',
      ],
      says: 'failed: the image for linux/amd64 is not well: its health check ended with 1: no good',
    },
    {
      name: 'mute',
      steps: ['CMD []'],
      says: 'failed: the image for linux/amd64 could not be started: it has no command of its own',
    },
  ];
  for (const { name, steps, says } of cases) {
    const path = await context(name, ...steps);
    await buildImage(['-t', `${registry}/${name}`, '--platform', 'linux/amd64', path], { env });
    const before = await left();
    const { stdout, stderr } = await archfarm(['verify', `${registry}/${name}`], { env });
    assert.ok(stdout.includes(says), `${name}: ${stdout}${stderr}`);
    assert.equal(await left(), before);
  }
});

test('a build says of every platform whether what it published runs, and fails where it does not', async () => {
  const path = await context('gated', 'CMD ["/bin/busybox", "uname", "-m"]');
  const tag = ['-t', `${registry}/gated`, ...both];
  const good = await archfarm(['build', ...tag, '--verify', path], { env });
  assert.is(good.status, 0, good.stderr);
  assert.match(good.stderr, /^linux\/amd64 +a .* passed: x86_64$/m);
  assert.match(good.stderr, /^linux\/arm64\/v8 +b .* passed: aarch64$/m);

  const bad = await runBuild([...tag, '--verify-run', 'uname -m; uname -m | grep x86', path], { env });
  assert.is(bad.status, 1);
  const { result } = bad;
  assert.is(result.status, 'failed');
  assert.is(result.error?.code, 'verify-failed');
  assert.match(result['containerimage.digest'] ?? '', /^sha256:/, 'it is published all the same');
  assert.is(platformOf(result, 'linux/amd64').verify?.lastLine, 'x86_64');
  const { verify } = platformOf(result, 'linux/arm64/v8');
  assert.equal([verify?.status, verify?.agent, verify?.lastLine], ['failed', 'b', 'aarch64']);
});

test('a detached build is verified by its coordinator, also one that was killed in the middle', async () => {
  const path = await context('detached', 'CMD ["/bin/sh", "-c", "echo begun; sleep 2; uname -m"]');
  const flags = ['-t', `${registry}/detached`, '--platform', 'linux/amd64', '--verify', '--detach', path];
  const { stdout, stderr, status } = await archfarm(['build', ...flags], { env });
  assert.is(status, 0, stderr);
  const build = stdout.trim();
  const show = async () => JSON.parse((await archfarm(['show', '--json', build], { env })).stdout);
  await until(async () => (await show())['containerimage.digest'] !== undefined, { what: 'it is published' });
  assert.is((await show()).status, 'publishing');
  farm.server.kill('SIGKILL');
  await farm.server.ended;
  await farm.server.restart();
  const ended = await until(
    async () => {
      const result = await show();
      return result.status === 'succeeded' && result;
    },
    { what: 'it is verified' },
  );
  assert.is(ended.platforms[0].verify.lastLine, 'x86_64');
});

test('a platform that no agent has is named, and the exit status is 4', async () => {
  const b = farm.agents.get('b');
  assert.ok(b !== undefined);
  b.kill('SIGTERM');
  await b.ended;
  const alone = ['verify', `${registry}/gated`, '--wait-agent', '1s'];
  const failed = await archfarm(alone, { env });
  assert.is(failed.status, 4, failed.stdout);
  assert.match(failed.stdout, /^linux\/amd64 .* passed: x86_64$/m);
  assert.match(failed.stderr, /verify of linux\/arm64\/v8: no agent for linux\/arm64\/v8 can run it/);
  await b.restart();
});

test('an agent that dies in the middle is replaced by another one', async () => {
  const path = await context('moved', 'CMD ["/bin/sh", "-c", "echo up; sleep 4; echo over"]');
  await buildImage(['-t', `${registry}/moved`, '--platform', 'linux/amd64', path], { env });
  const verifying = archfarm(['verify', `${registry}/moved`], { env });
  const a = farm.agents.get('a');
  assert.ok(a !== undefined);
  const { host } = farm.engines['linux/amd64'];
  const running = async () =>
    (await run('docker', ['-H', host, 'ps', '-q', '--filter', 'label=archfarm.run'])).stdout.trim();
  await until(async () => (await running()) !== '', { what: 'the container runs' });
  a.kill('SIGKILL');
  await a.ended;
  await a.restart();
  const { status, stdout, stderr } = await verifying;
  assert.is(status, 0, stderr);
  assert.match(stdout, /passed: over/);
  assert.match(stderr, /on a\n\[linux\/amd64\] on a\n/, 'it was tried twice');
  await until(async () => (await running()) === '', { what: 'no container is left' });
});

test('every line of a log that speaks of a build names it, its platform, attempt and agent', async () => {
  const listed = await archfarm(['builds', '--json'], { env });
  const builds: string[] = JSON.parse(listed.stdout).map(({ build }: { build: string }) => build);
  const said = new Map<string, Set<string>>();
  for (const name of ['coordinator', 'agent-a', 'agent-b']) {
    const messages = new Set<string>();
    said.set(name, messages);
    for (const line of (await readFile(`${farm.directory}/${name}.log`, 'utf8')).split('\n')) {
      const id = builds.find((each) => line.includes(each));
      if (id === undefined || !line.startsWith('{')) continue;
      const entry = JSON.parse(line);
      messages.add(entry.msg);
      assert.ok([entry.build, ...(entry.builds ?? [])].includes(id), line);
      const attempt = new RegExp(`${id}/linux/[a-z0-9/]+`).exec(line)?.[0];
      if (attempt !== undefined) assert.is(entry.attempt, attempt, line);
      const ofPlatform = attempt !== undefined || entry.proof !== undefined;
      if (ofPlatform) assert.ok(entry.task?.startsWith('linux/') && entry.agent !== undefined, line);
    }
  }
  for (const name of ['agent-a', 'agent-b'])
    for (const message of ['attempt started', 'attempt ended', 'proof started', 'proof ended'])
      assert.ok(said.get(name)?.has(message), `${name}: ${message}`);
  assert.ok(said.get('coordinator')?.has('published'));
});

test('gives the farm back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { WarningEvent } from '../../../shared/progress.ts';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { failureOf, runBuild } from './build-rig.ts';
import { file, link, type Contents } from './memory-context.ts';

const base = await busyboxBase();
const rig = await startEngine({ name: 'programs' });
const data = await temporaryDirectory();
const engine = engineOf();
const signal = AbortSignal.timeout(300_000);

/** Real ones; of the others only the header is there, which is all that anybody reads. */
const [largeAmd64, largeArm64] = [program('amd64'), program('arm64')];
const amd64 = file(head(largeAmd64), { mode: 0o755 });
const arm64 = file(head(largeArm64), { mode: 0o755 });
const i386 = file(Buffer.from('7f454c4601010100000000000000000002000300', 'hex'), { mode: 0o755 });

/** Builds an image of these files and Dockerfile lines, and checks it. Resolves to the warnings. */
async function check(
  platform: string,
  { contents, lines = [] }: { contents: Contents; lines?: readonly string[] },
): Promise<WarningEvent[]> {
  const root = Object.fromEntries(Object.entries(contents).map(([path, node]) => [`root/${path}`, node]));
  const { image } = await runBuild(engine, {
    contents: root,
    dockerfile: ['FROM scratch', 'COPY root /', ...lines].join('\n'),
    task: { platform, contextKey: JSON.stringify([Object.keys(contents), lines, platform]) },
  });
  const warnings: WarningEvent[] = [];
  const request = { imageId: image.imageId, reference: 'host/app:1', platform };
  await engine.checkPrograms(request, { signal, onEvent: (event) => warnings.push(event) });
  return warnings;
}

test('takes an image whose programs are for its platform, on either', async () => {
  const lines = ['ENTRYPOINT ["app"]', 'ENV PATH=/nowhere:/opt'];
  assert.equal(await check('linux/amd64', { contents: { 'opt/app': largeAmd64 }, lines }), []);
  assert.equal(await check('linux/arm64', { contents: { 'opt/app': largeArm64 }, lines }), []);
});

test('refuses an image that runs a program of another architecture, and says which', async () => {
  const failure = await failureOf(
    check('linux/amd64', { contents: { 'opt/app': arm64 }, lines: ['ENTRYPOINT ["/opt/app"]'] }),
  );
  assert.is(failure.code, 'wrong-architecture');
  assert.is(
    failure.message,
    'host/app:1 was built for linux/amd64, but its /opt/app is a program for linux/arm64',
  );
  assert.match(failure.hint ?? '', /FROM.*--platform/);
  const other = await failureOf(check('linux/arm64', { contents: { 'bin/sh': amd64 } }));
  assert.match(other.message, /linux\/arm64\/v8, but its \/bin\/sh is a program for linux\/amd64$/);
});

test('finds a command as the engine does: by PATH, working directory and links of files and directories', async () => {
  const contents: Contents = {
    'usr/bin/busybox': arm64,
    'usr/bin/app': link('/etc/alternatives/app'),
    'etc/alternatives/app': link('../../bin/busybox'),
    bin: link('usr/bin'),
    // Neither is what runs: the one is a directory, the other has no execute bit.
    'one/app/file': file(''),
    'two/app': file(head(largeAmd64)),
    'three/app': link('../bin/app'),
  };
  const cases = [
    ['ENV PATH=/one:/two:/three:/bin', 'CMD ["app", "--serve"]'],
    ['ENV PATH=/one:/two:/three:/bin', 'ENTRYPOINT ["app"]', 'CMD ["/opt/data"]'],
    ['WORKDIR /three', 'CMD ["./app"]'],
    ['WORKDIR /', 'CMD ["bin/app"]'],
    // No link may lead out of the image.
    ['CMD ["/../../../../bin/app"]'],
  ];
  for (const lines of cases) {
    const failure = await failureOf(check('linux/amd64', { contents, lines }));
    assert.match(failure.message, / \/usr\/bin\/busybox is a program for linux\/arm64$/, lines.join(' '));
  }
});

test('looks at the interpreter of a script, and at the shell where the command is not there', async () => {
  const scripts: Contents = {
    'start.sh': file('#!/middle -x\n', { mode: 0o755 }),
    middle: file('#! /bin/sh\n', { mode: 0o755 }),
    'bin/sh': link('busybox'),
    'bin/busybox': arm64,
  };
  for (const command of ['/start.sh', '/not/there', '/middle/too/deep', 'unknown']) {
    const lines = [`ENTRYPOINT ["${command}"]`];
    const failure = await failureOf(check('linux/amd64', { contents: scripts, lines }));
    assert.match(failure.message, / \/bin\/busybox is a program for linux\/arm64$/, command);
    assert.equal(await check('linux/arm64', { contents: scripts, lines }), []);
  }
});

test('takes images without a program that can be told', async () => {
  const images: Contents[] = [
    { 'data.txt': file('hello') },
    { 'start.sh': file('#!/nowhere/python\n', { mode: 0o755 }) },
    { 'start.sh': file('', { mode: 0o755 }) },
    { 'start.sh': file('#!start.sh\n', { mode: 0o755 }) },
    { 'start.sh': file('#!/start.sh\n', { mode: 0o755 }) },
    { 'start.sh': link('two'), two: link('start.sh') },
    { 'start.sh': link('nowhere'), 'bin/sh': link('/proc/self/exe') },
    { 'start.sh/file': file('in a directory') },
  ];
  for (const contents of images) {
    const warnings = await check('linux/amd64', { contents, lines: ['ENTRYPOINT ["/start.sh"]'] });
    assert.equal(warnings, [], Object.keys(contents).join(' '));
  }
});

test('takes a 32-bit program on the 64-bit platform only beside 64-bit ones', async () => {
  const lines = ['CMD ["/app"]'];
  const mixed: Contents = { app: i386, 'bin/sh': amd64 };
  assert.equal(await check('linux/amd64', { contents: mixed, lines }), []);
  for (const contents of [{ app: i386 }, { app: i386, 'bin/sh': i386 }]) {
    const failure = await failureOf(check('linux/amd64', { contents, lines }));
    assert.match(failure.message, / \/app is a program for linux\/386$/);
  }
  assert.equal(await check('linux/386', { contents: { app: i386 }, lines }), []);
  const foreign = await failureOf(check('linux/arm64', { contents: { app: i386, 'bin/sh': arm64 }, lines }));
  assert.match(foreign.message, / \/app is a program for linux\/386$/);
});

test('sees programs below a volume without making the volume', async () => {
  const lines = ['VOLUME /opt', 'VOLUME ["/data", "/data/"]', 'CMD ["/opt/app"]'];
  const since = String(Date.now() / 1000);
  const failure = await failureOf(check('linux/amd64', { contents: { 'opt/app': arm64 }, lines }));
  assert.match(failure.message, / \/opt\/app is a program/);
  assert.equal(await check('linux/amd64', { contents: { 'opt/app': amd64 }, lines }), []);
  const period = ['--since', since, '--until', String(Date.now() / 1000)];
  assert.match(docker('events', ...period, '--filter', 'type=container'), /container destroy/);
  assert.is(docker('events', ...period, '--filter', 'type=volume'), '');
});

test('removes its container also when it is aborted, whenever that is', async () => {
  const { image } = await runBuild(engine, {
    contents: { app: amd64 },
    dockerfile: 'FROM scratch\nCOPY app /app\nCMD ["/app"]',
    task: { contextKey: 'abort' },
  });
  const request = { imageId: image.imageId, reference: 'host/app:1', platform: 'linux/amd64' };
  // Others each time: an engine looks at an image once.
  const look = (signal: AbortSignal): Promise<void> =>
    engineOf().checkPrograms(request, { signal, onEvent: unexpected });
  const start = performance.now();
  await look(signal);
  const duration = performance.now() - start;
  const reason = new ArchfarmError('cancelled', 'the user said so');
  for (let part = 0; part < 8; part += 1) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(reason), (duration * part) / 10);
    const outcome = await look(controller.signal).catch((error: unknown) => error);
    clearTimeout(timer);
    // The last ones may be through before.
    assert.ok(outcome === reason || (outcome === undefined && part > 3), `${part}: ${String(outcome)}`);
    assert.equal(leftovers(), { containers: '', volumes: '' });
  }
});

test('warns when the engine lets nobody look, and does not fail the build for it', async () => {
  const imageId = `sha256:${'1'.repeat(64)}`;
  const warnings: WarningEvent[] = [];
  const onEvent = (event: WarningEvent): void => void warnings.push(event);
  await engine.checkPrograms(
    { imageId, reference: 'host/app:1', platform: 'linux/amd64' },
    { signal, onEvent },
  );
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0]?.message ?? '',
    /^the programs of host\/app:1 could not be checked: .*no such image/i,
  );
});

test('looks at an image that was right only once for each platform', async () => {
  const { image } = await runBuild(engine, {
    contents: { app: i386, sh: amd64 },
    dockerfile: 'FROM scratch\nCOPY app /app\nCOPY sh /bin/sh\nCMD ["/app"]',
    task: { contextKey: 'again' },
  });
  const since = String(Date.now() / 1000);
  const look = (platform: string): Promise<void> => {
    const request = { imageId: image.imageId, reference: 'host/app:1', platform };
    return engine.checkPrograms(request, { signal, onEvent: unexpected });
  };
  for (let round = 0; round < 3; round += 1) {
    await look('linux/amd64');
    assert.is((await failureOf(look('linux/arm64'))).code, 'wrong-architecture');
  }
  const period = ['--since', since, '--until', String(Date.now() / 1000)];
  const created = docker('events', ...period, '--filter', 'event=create', '--filter', 'type=container');
  assert.is(created.trim().split('\n').length, 4);
});

test('takes away what an agent that was killed during its look has left, and nothing of others', async () => {
  const { image } = await runBuild(engine, {
    contents: { sh: amd64 },
    dockerfile: 'FROM scratch\nCOPY sh /bin/sh\nVOLUME /data',
    task: { contextKey: 'left' },
  });
  const create = (owner: string): string =>
    docker('create', '--label', `archfarm.probe=${owner}`, image.imageId, '/bin/sh').trim();
  create(data.path);
  const theirs = create('another agent');
  await engine.sweep(signal);
  assert.is(docker('ps', '-aq', '--no-trunc').trim(), theirs);
  docker('rm', '-v', theirs);
});

test('leaves no container or volume behind, whatever it found', () => {
  assert.equal(leftovers(), { containers: '', volumes: '' });
});

test('gives its engine back', async () => {
  await rig[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

function engineOf(): Engine {
  return new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
}

function program(architecture: string): Contents[string] {
  return file(readFileSync(`${base}/${architecture}/usr/bin/busybox`), { mode: 0o755 });
}

function head({ content }: Contents[string]): Buffer {
  assert.ok(content);
  return content.subarray(0, 64);
}

function unexpected({ message }: WarningEvent): void {
  assert.unreachable(message);
}

function docker(...args: readonly string[]): string {
  return execFileSync('docker', ['-H', rig.host, ...args], { encoding: 'utf8' });
}

function leftovers(): { containers: string; volumes: string } {
  return { containers: docker('ps', '-aq'), volumes: docker('volume', 'ls', '-q') };
}

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Disks } from '../../agent/disks.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { EngineWatch } from '../../agent/engine-watch.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { silentLogger } from '../../shared/log.ts';
import { smallDisk } from '../support/small-disk.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { currentVersion, startFakeEngine } from './engine/fake-engine.ts';

const run = promisify(execFile);
// No interpreter of a Linux kernel makes a host one of this.
const foreign = 'windows/amd64';
const s390x = JSON.stringify({ OSType: 'linux', Architecture: 's390x' });

interface Watched extends AsyncDisposable {
  readonly watch: EngineWatch;
}

async function watchOf(restrictTo: string[], info: readonly string[] = [s390x]): Promise<Watched> {
  const fake = await startFakeEngine({ ...currentVersion, 'GET /info': info });
  const data = await temporaryDirectory();
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: data.path });
  return {
    watch: new EngineWatch({ engine, restrictTo, log: silentLogger, interval: 5 }),
    async [Symbol.asyncDispose]() {
      await fake[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}

test('an agent that is to build what its engine neither is nor emulates does not start', async () => {
  await using watched = await watchOf(['linux/s390x', foreign]);
  const error = await watched.watch.start(new AbortController().signal).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ArchfarmError && error.code === 'config');
  assert.match(error.message, /^this host cannot build windows\/amd64: it has linux\/s390x \(native\)/);
  assert.match(error.hint ?? '', '--platform windows/amd64');
});

test('an agent offers nothing and says why, when its engine turns out to be another one than it was started for', async () => {
  // It was away when the agent started.
  await using watched = await watchOf([foreign], ['', s390x]);
  const { watch } = watched;
  const stop = new AbortController();
  await watch.start(stop.signal);
  assert.is.not(watch.trouble, undefined);
  const told = new Promise<string | undefined>((resolve) => watch.onChange(() => resolve(watch.trouble)));
  const running = watch.run(stop.signal);
  assert.match((await told) ?? '', /^this host cannot build windows\/amd64: it has linux\/s390x \(native\)/);
  assert.equal(watch.platforms, []);
  stop.abort();
  await running;
});

test('an emulator that goes away cordons the agent until it is back, and gives up nothing that runs', async () => {
  await using fake = await startFakeEngine({
    ...currentVersion,
    'GET /info': s390x,
    'GET /_ping': 'OK',
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  const { lost } = engine;
  const host = { emulated: ['linux/arm64/v8'] };
  const watch = new EngineWatch({
    engine,
    restrictTo: ['linux/s390x', 'linux/arm64/v8'],
    log: silentLogger,
    interval: 5,
    lostAfter: 1,
    emulated: async () => host.emulated,
  });
  const stop = new AbortController();
  await watch.start(stop.signal);
  assert.is(watch.platforms.length, 2);
  const told: (string | undefined)[] = [];
  watch.onChange(() => told.push(watch.trouble));
  const running = watch.run(stop.signal);
  host.emulated = [];
  await until(() => told.length > 0);
  assert.match(told[0] ?? '', /^this host cannot build linux\/arm64\/v8: it has linux\/s390x \(native\)$/);
  const before = fake.asked.length;
  await until(() => fake.asked.length > before + 20, { what: 'more looks than make an engine lost' });
  assert.is(watch.silence(), 0);
  assert.not.ok(lost.aborted);
  host.emulated = ['linux/arm64/v8'];
  await until(() => told.length > 1);
  assert.equal(told.slice(1), [undefined]);
  stop.abort();
  await running;
});

/** An engine that can be made to hang: it takes connections and says nothing. */
async function hangingEngine(path: string): Promise<{ hung: boolean } & AsyncDisposable> {
  const answers = new Map([
    ['/_ping', 'OK'],
    ['/version', currentVersion['GET /version']],
    ['/info', s390x],
    ['/containers/json', '[]'],
  ]);
  const engine = {
    hung: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((request, response) => {
    if (!engine.hung) response.end(answers.get(request.url?.replace(/\?.*/, '') ?? ''));
  });
  server.listen(path);
  await once(server, 'listening');
  return engine;
}

test('an engine that hangs is noticed within four looks, and is trusted again when it answers', async () => {
  await using data = await temporaryDirectory();
  const path = join(data.path, 'docker.sock');
  await using fake = await hangingEngine(path);
  const engine = new Engine({ host: `unix://${path}`, environment: {}, dataDirectory: data.path });
  const interval = 1250;
  const watch = new EngineWatch({ engine, restrictTo: undefined, log: silentLogger, interval });
  const stop = new AbortController();
  await watch.start(stop.signal);
  assert.is(watch.trouble, undefined);
  const running = watch.run(stop.signal);
  fake.hung = true;
  const since = performance.now();
  await until(() => watch.trouble !== undefined);
  const took = performance.now() - since;
  assert.ok(took > 2 * interval, `after ${took} ms: one late answer is nothing`);
  assert.ok(took < 6 * interval, `only after ${took} ms`);
  assert.ok(watch.silence() > 0);
  fake.hung = false;
  await until(() => watch.trouble === undefined && watch.silence() === 0);
  stop.abort();
  await running;
});

test('a disk below the watermark, or read-only, keeps an agent from work until it is well again', async () => {
  await using disk = await smallDisk(4 * 1024 ** 2);
  await using data = await temporaryDirectory();
  const socket = join(data.path, 'docker.sock');
  await using _fake = await hangingEngine(socket);
  const engine = new Engine({ host: `unix://${socket}`, environment: {}, dataDirectory: data.path });
  const watch = new EngineWatch({
    engine,
    restrictTo: undefined,
    log: silentLogger,
    interval: 20,
    disks: new Disks({
      watermark: { share: 0.5, bytes: Infinity },
      paths: [disk.path],
      log: silentLogger,
    }),
  });
  const stop = new AbortController();
  await watch.start(stop.signal);
  assert.is(watch.trouble, undefined);
  const running = watch.run(stop.signal);
  await writeFile(join(disk.path, 'large'), Buffer.alloc(3 * 1024 ** 2));
  await until(() => watch.trouble !== undefined);
  assert.match(watch.trouble ?? '', /^disk: 1\.\d MB free at .*, less than 2\.1 MB$/);
  assert.is(watch.silence(), 0, 'what runs goes on');
  await rm(join(disk.path, 'large'));
  await until(() => watch.trouble === undefined);

  // As the kernel does to a disk that has failed.
  await run('mount', ['-o', 'remount,ro', disk.path]);
  await until(() => watch.trouble !== undefined);
  assert.is(
    watch.trouble,
    `disk: the file system at ${disk.path} is read-only: dmesg on this host may say why`,
  );
  await run('mount', ['-o', 'remount,rw', disk.path]);
  await until(() => watch.trouble === undefined);
  stop.abort();
  await running;
});

test('an engine that is too old leaves the agent up without work, unless it is there for one build', async () => {
  await using fake = await startFakeEngine({
    'GET /version': JSON.stringify({ Version: '18.06.3-ce', ApiVersion: '1.38' }),
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  const options = { engine, restrictTo: undefined, log: silentLogger };
  const watch = new EngineWatch(options);
  await watch.start(AbortSignal.timeout(10_000));
  assert.match(watch.trouble ?? '', /has no BuildKit: it is 18\.06\.3-ce/);
  assert.equal(watch.platforms, []);
  const strict = new EngineWatch({ ...options, mustBuild: true });
  const error = await strict.start(AbortSignal.timeout(10_000)).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ArchfarmError && error.code === 'no-buildkit');
});

test.run();

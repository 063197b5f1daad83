import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { resultOf } from '../../../coordinator/farm/result.ts';
import { apply } from '../../../coordinator/farm/state.ts';
import { FrameLog } from '../../../coordinator/store/frames.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { BuildEvent, BuildResult, Frame } from '../../../shared/progress.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const line = (text: string): BuildEvent => ({ type: 'log', time: 1, step: 's', stream: 'stdout', text });

function result(change: Partial<BuildResult> = {}): BuildEvent {
  const state = createState({ timers: defaultTimers, startedAt: 0 });
  const build = { id: 'one', sequence: 1, spec: sampleSpec(), client: 'test' };
  apply(state, { type: 'submitted', at: 1, build });
  const [open] = state.builds.values();
  if (open === undefined) throw new Error('no build');
  return { type: 'result', time: 2, result: { ...resultOf(open, { at: 2 }), ...change } };
}

async function collect(lines: AsyncIterable<Buffer>): Promise<Frame[]> {
  const collected: Frame[] = [];
  for await (const piece of lines) collected.push(...framesIn(piece));
  return collected;
}

function framesIn(lines: Buffer | undefined): Frame[] {
  const texts = (lines ?? Buffer.alloc(0)).toString().trimEnd().split('\n');
  return texts.map((line): Frame => JSON.parse(line));
}

const flood = (log: FrameLog, platform: string): void => {
  for (let n = 0; n < 5; n++) log.append('one', { platform, events: [line('x'.repeat(40))] });
};

const numbers = (frames: readonly Frame[]): number[] => frames.map(({ seq }) => seq);

test('numbers frames of all platforms in one sequence and gives them back after any number', async () => {
  await using directory = await temporaryDirectory();
  await using log = new FrameLog({ directory: directory.path });
  log.append('one', { platform: 'linux/amd64', agent: 'a', events: [line('first'), line('second')] });
  log.append('one', { platform: 'linux/arm64/v8', agent: 'b', events: [line('thírd')] });
  const frames = await collect(log.read('one', 1));
  assert.equal(numbers(frames), [2, 3]);
  assert.equal(frames[1], { seq: 3, build: 'one', platform: 'linux/arm64/v8', agent: 'b', ...line('thírd') });
});

test('goes on with the next number after a restart, without the line that a crash left unfinished', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'one.ndjson');
  new FrameLog({ directory: directory.path }).append('one', { events: [line('1'), line('2')] });
  const whole = await readFile(path);
  for (const torn of ['{"seq":3,"build":"one","type":"lo', '{"seq":3}x\n', '\0\0\0\0\n', '\0']) {
    await writeFile(path, Buffer.concat([whole, Buffer.from(torn)]));
    const log = new FrameLog({ directory: directory.path });
    assert.equal(numbers(log.append('one', { events: [line('3')] })), [3], JSON.stringify(torn));
    assert.equal(numbers(await collect(log.read('one', 0))), [1, 2, 3]);
  }
});

/** Two tasks that have said as much as is kept of them, on disk. */
async function longLog(directory: string): Promise<number> {
  const log = new FrameLog({ directory });
  const events = Array.from({ length: 500 }, () => line('x'.repeat(110)));
  for (const platform of ['linux/amd64', 'linux/arm64/v8']) {
    for (let frame = 1; frame <= 300; frame++)
      log.append('one', { platform, message: { attempt: 1, frame }, events });
  }
  await appendFile(join(directory, 'one.ndjson'), '{"seq":300001,"build":"one","type":"lo');
  return 300_000;
}

test('goes through a long log after a restart a piece at a time, whoever else works meanwhile', async () => {
  await using directory = await temporaryDirectory();
  const last = await longLog(directory.path);
  const size = async (): Promise<number> => (await stat(join(directory.path, 'one.ndjson'))).size;
  const torn = await size();
  await using log = new FrameLog({ directory: directory.path });
  const before = process.cpuUsage();
  log.begin('one');
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 50_000, `${user + system} µs`);
  assert.ok(log.has('one'));
  let turns = 0;
  while ((await size()) === torn) turns += 1;
  assert.ok(turns > 10, `${turns} turns for others`);
  const message = { attempt: 1, frame: 300 };
  assert.equal(log.append('one', { platform: 'linux/amd64', message, events: [line('again')] }), []);
  assert.equal(numbers(log.append('one', { events: [line('next')] })), [last + 1]);
});

test('has the next number for whoever writes or reads before a long log was gone through', async () => {
  await using directory = await temporaryDirectory();
  const last = await longLog(directory.path);
  {
    await using log = new FrameLog({ directory: directory.path });
    log.begin('one');
    assert.equal(numbers(await collect(log.read('one', last - 1))), [last], 'nothing of what a crash tore');
  }
  await using log = new FrameLog({ directory: directory.path });
  log.begin('one');
  await new Promise(setImmediate);
  assert.equal(numbers(log.append('one', { events: [line('next')] })), [last + 1]);
  assert.equal(numbers(await collect(log.read('one', last - 1))), [last, last + 1]);
});

test('gives every follower every frame up to the result, whenever it comes and however slowly it is read', async () => {
  await using directory = await temporaryDirectory();
  await using log = new FrameLog({ directory: directory.path });
  const { signal } = new AbortController();
  log.append('one', { events: [line('0')] });
  const quick = [collect(log.follow('one', 0, signal)), collect(log.follow('one', 50, signal))];
  const slow = log.follow('one', 0, signal);
  assert.equal(numbers(framesIn((await slow.next()).value)), [1]);
  // Larger than any buffer of a reader: the slow one finds it all in the file.
  for (let n = 0; n < 100; n++) {
    log.append('one', { events: [line('x'.repeat(20_000))] });
    if (n % 10 === 0) await new Promise(setImmediate);
  }
  log.append('one', { events: [result()] });
  assert.equal(log.append('one', { events: [line('too late')] }), []);
  const [all, later] = await Promise.all(quick);
  const sequence = Array.from({ length: 102 }, (_, index) => index + 1);
  assert.equal(numbers(all!), sequence);
  assert.equal(numbers(later!), sequence.slice(50));
  assert.equal(numbers(await collect(slow)), sequence.slice(1));
  assert.equal(numbers(await collect(log.follow('one', 101, signal))), [102], 'also when it has ended');
});

test('a build has ended however long its result is', async () => {
  const size = 256 * 1024;
  for (const length of [10, size - 1000, size, 3 * size]) {
    await using log = new FrameLog();
    const error = { code: 'build-failed', message: 'x'.repeat(length) } as const;
    log.append('one', { events: [line('first')] });
    log.append('one', { events: [result({ error })] });
    assert.equal(log.append('one', { events: [line('after the end')] }), [], `${length}`);
    const told = await collect(log.follow('one', 0, AbortSignal.timeout(10_000)));
    assert.equal(numbers(told), [1, 2]);
  }
});

test('a follower of a build that goes on waits until it is told to stop', async () => {
  await using directory = await temporaryDirectory();
  await using log = new FrameLog({ directory: directory.path });
  log.append('one', { events: [line('0')] });
  const stop = new AbortController();
  const following = log.follow('one', 0, stop.signal);
  await following.next();
  const next = following.next().catch((thrown: unknown) => String(thrown));
  stop.abort();
  assert.match(JSON.stringify(await next), 'AbortError');
});

test('keeps a bounded amount of output per task, says so once, and remembers it after a restart', async () => {
  await using directory = await temporaryDirectory();
  const options = { directory: directory.path, outputLimit: 100 };
  const log = new FrameLog(options);
  flood(log, 'linux/amd64');
  flood(new FrameLog(options), 'linux/amd64');
  const after = new FrameLog(options);
  flood(after, 'linux/arm64/v8');
  after.append('one', {
    platform: 'linux/amd64',
    events: [{ type: 'warning', time: 1, message: 'still heard' }],
  });
  const frames = await collect(after.read('one', 0));
  assert.equal(
    frames.map(({ platform, type }) => `${platform} ${type}`),
    [
      ...['log', 'log', 'warning'].map((type) => `linux/amd64 ${type}`),
      ...['log', 'log', 'warning'].map((type) => `linux/arm64/v8 ${type}`),
      'linux/amd64 warning',
    ],
  );
});

test('keeps a bounded amount of all else that a task reports, and everything that followers need', async () => {
  await using directory = await temporaryDirectory();
  const options = { directory: directory.path, outputLimit: 10_000 };
  const platform = 'linux/amd64';
  const text = 'x'.repeat(1000);
  const reports: BuildEvent[] = [
    { type: 'step', time: 1, step: 's', name: text, status: 'started' },
    { type: 'step', time: 1, step: 's', name: '', status: 'failed', error: text },
    { type: 'push', time: 1, layer: text, status: '' },
    { type: 'push', time: 1, layer: '', status: text },
    { type: 'warning', time: 1, message: text },
    { type: 'context', time: 1, engineBytes: 1, sentBytes: 1 },
  ];
  for (let start = 0; start < 20; start += 1) {
    const log = new FrameLog(options);
    for (const event of reports) log.append('one', { platform, events: [event, event] });
  }
  const after = new FrameLog(options);
  after.append('one', { platform, events: [line('said'), { type: 'state', time: 1, state: 'failed' }] });
  after.append('one', { platform: 'linux/arm64', events: reports.slice(0, 1) });
  after.append('one', { events: [{ type: 'publish', time: 1, action: 'tag', reference: 'a' }, result()] });
  const frames = await collect(after.read('one', 0));
  const kept = frames.map(({ type }) => type);
  assert.equal(kept.slice(-5), ['log', 'state', 'step', 'publish', 'result']);
  const dropped = frames.slice(0, -5);
  assert.match(JSON.stringify(dropped.at(-1)), 'more steps and warnings than are kept');
  const bytes = Buffer.byteLength(JSON.stringify(dropped));
  assert.ok(bytes > 8000 && bytes < 11_500, `${bytes} bytes`);
});

test('knows after a restart which messages of an attempt it has, and cuts off the one that a crash tore', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'one.ndjson');
  const say = (log: FrameLog, frame: number, attempt = 1): void => {
    const events = ['a', 'b', 'c'].map((part) => line(`${attempt}.${frame}${part}`));
    log.append('one', { platform: 'linux/amd64', agent: 'q"', message: { attempt, frame }, events });
  };
  const texts = async (log: FrameLog): Promise<string> => {
    const frames = await collect(log.read('one', 0));
    assert.equal(
      numbers(frames),
      frames.map((_, index) => index + 1),
    );
    return frames.map((frame) => (frame.type === 'log' ? frame.text : '')).join(' ');
  };
  const before = new FrameLog({ directory: directory.path });
  for (const frame of [1, 2, 2, 1]) say(before, frame);
  say(before, 1, 2);
  const whole = await readFile(path);
  assert.is(await texts(before), '1.1a 1.1b 1.1c 1.2a 1.2b 1.2c 2.1a 2.1b 2.1c');
  // A crash ends the file anywhere within the last message, or right after it.
  const lastMessage = whole.indexOf('{"seq":7');
  const ends = [...whole].flatMap((byte, index) =>
    byte === 0x0a && index > lastMessage ? [index, index + 1] : [],
  );
  for (const end of [lastMessage, lastMessage + 9, ...ends]) {
    await writeFile(path, whole.subarray(0, end));
    const after = new FrameLog({ directory: directory.path });
    for (const frame of [1, 2]) say(after, frame);
    say(after, 1, 2);
    say(after, 2, 2);
    const all = '1.1a 1.1b 1.1c 1.2a 1.2b 1.2c 2.1a 2.1b 2.1c 2.2a 2.2b 2.2c';
    assert.is(await texts(after), all, `cut at ${end} of ${whole.length}`);
  }
});

test('gives what comes after any number of a long log, with lines longer than what is read at once', async () => {
  await using directory = await temporaryDirectory();
  await using log = new FrameLog({ directory: directory.path });
  for (let n = 1; n <= 400; n++) {
    log.append('one', { events: [line('x'.repeat(n % 50 === 0 ? 600_000 : 10_000))] });
  }
  const sequence = Array.from({ length: 400 }, (_, index) => index + 1);
  for (const after of [0, 1, 49, 50, 51, 199, 200, 201, 399, 400, 401]) {
    assert.equal(numbers(await collect(log.read('one', after))), sequence.slice(after), `after ${after}`);
  }
});

test('refuses logs of builds that are not there, and names that are no build', async () => {
  await using directory = await temporaryDirectory();
  await mkdir(join(directory.path, 'logs'));
  await appendFile(join(directory.path, 'secret.ndjson'), '{"seq":1}\n');
  await using log = new FrameLog({ directory: join(directory.path, 'logs') });
  for (const name of ['none', '../secret', '']) {
    const failure = await collect(log.read(name, 0)).catch((thrown: unknown) => thrown);
    assert.instance(failure, ArchfarmError);
  }
});

test('takes nothing on when the log cannot be written, and goes on when it can', async () => {
  await using directory = await temporaryDirectory();
  await using log = new FrameLog({ directory: directory.path });
  const path = join(directory.path, 'one.ndjson');
  await mkdir(path);
  assert.throws(() => log.append('one', { events: [line('1')] }));
  await rm(path, { recursive: true });
  assert.equal(numbers(log.append('one', { events: [line('1')] })), [1]);
});

test('without a directory, leaves nothing behind', async () => {
  let path = '';
  {
    await using log = new FrameLog();
    log.append('one', { events: [line('1')] });
    path = log.directory;
    assert.ok((await stat(path)).isDirectory());
  }
  assert.is(await stat(path).catch((thrown: { code: string }) => thrown.code), 'ENOENT');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toBuffer } from '../../shared/channel.ts';
import type { Task } from '../../shared/task.ts';
import { closeCodes } from '../../shared/messages.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import { dir, memoryTree } from '../support/memory-tree.ts';
import { startWorker } from '../support/running-worker.ts';
import { sampleTask } from '../support/sample-messages.ts';
import { scriptedCoordinator, welcome } from '../support/scripted-coordinator.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\nRUN false\n']));
const task: Task = sampleTask({
  build: 'b1',
  platform: 'linux/s390x',
  context: { root: tree.root, name: 'c' },
  dockerfile: { root: tree.root, name: 'Dockerfile' },
  contexts: [],
  secrets: [],
  ssh: [],
});

function attempt(number: number): string {
  return `b1/linux/s390x/${number}`;
}

test('an agent introduces itself with what its engine offers', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path, slots: 3 });
  const hello = await coordinator.wait('hello');
  assert.equal(hello.platforms, [{ platform: 'linux/s390x', native: true }]);
  assert.equal(hello.engine, { version: '20.10.24', apiVersion: '1.41' });
  assert.equal([hello.name, hello.slots, hello.state, hello.attempts], ['pi-01', 3, 'ready', []]);
  assert.equal(hello.labels, { room: 'lab' });
  await until(() => running.worker.status().connected);
});

test('an offer runs from acceptance to a report that is settled', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator({ contents: tree });
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  assert.equal(await coordinator.wait('accept'), { type: 'accept', attempt: attempt(1) });
  const report = await coordinator.wait('report');
  assert.ok(report.outcome.status === 'failed' && report.outcome.kind === 'build');
  assert.is(report.outcome.error.code, 'build-failed');
  const progress = coordinator.heard('progress');
  assert.is(report.lastFrame, progress.length);
  assert.equal(
    progress.map(({ frame }) => frame),
    progress.map((_, index) => index + 1),
  );
  const events = progress.flatMap((message) => message.events);
  assert.ok(events.some((event) => event.type === 'log' && event.text === 'it went wrong'));
  assert.is(running.worker.status().unsettled, 1);
  coordinator.send({ type: 'settle', attempt: attempt(1) });
  await until(() => running.worker.status().unsettled === 0);
  await until(() => coordinator.openContexts === 0, { what: 'an idle agent holds no context connection' });
  coordinator.send({ type: 'offer', attempt: attempt(2), task });
  assert.is((await coordinator.wait('report', 2)).attempt, attempt(2));
});

test('offers beyond the slots are declined, and a repeated one is accepted again', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using _running = await startWorker({ coordinator: coordinator.url, data: data.path });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  coordinator.send({ type: 'offer', attempt: 'b2/linux/s390x/1', task });
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  assert.equal(await coordinator.wait('decline'), {
    type: 'decline',
    attempt: 'b2/linux/s390x/1',
    reason: 'all slots are busy',
  });
  await coordinator.wait('accept', 2);
  assert.equal(
    coordinator.heard('accept').map((each) => each.attempt),
    [attempt(1), attempt(1)],
  );
});

test('a cancelled attempt reports so, and one that nobody wants any more ends the same way', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path, slots: 2 });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  coordinator.send({ type: 'offer', attempt: attempt(2), task });
  await coordinator.wait('accept', 2);
  coordinator.send({ type: 'cancel', attempt: attempt(1), reason: 'a user asked' });
  const cancelled = await coordinator.wait('report');
  assert.equal(cancelled.outcome, { status: 'cancelled', reason: 'a user asked' });
  coordinator.send({ type: 'settle', attempt: attempt(2) });
  const unwanted = await coordinator.wait('report', 2);
  assert.equal([unwanted.attempt, unwanted.outcome.status], [attempt(2), 'cancelled']);
  coordinator.send({ type: 'cancel', attempt: 'unknown/linux/amd64/1', reason: 'x' });
  coordinator.send({ type: 'settle', attempt: 'unknown/linux/amd64/1' });
  assert.is(running.worker.status().jobs.length, 0);
});

test('after a reconnect the same process says again what was not acknowledged, and no more', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator({ contents: tree });
  await using _running = await startWorker({ coordinator: coordinator.url, data: data.path });
  const first = await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  const report = await coordinator.wait('report');
  const sent = coordinator.heard('progress').length;
  coordinator.agents[0]?.terminate();
  const second = await coordinator.wait('hello', 2);
  assert.is(second.session, first.session);
  assert.equal(second.attempts, [attempt(1)]);
  assert.equal(await coordinator.wait('report', 2), report);
  assert.equal(coordinator.heard('progress').slice(sent), coordinator.heard('progress').slice(0, sent));
  coordinator.send({ type: 'acknowledge', attempt: attempt(1), frame: sent });
  coordinator.send({ type: 'beat' });
  coordinator.agents[0]?.close(closeCodes.restart);
  assert.equal(await coordinator.wait('report', 3), report);
  assert.is(coordinator.heard('progress').length, sent * 2);
});

test('a report is not sent before it is on disk', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator({ contents: tree });
  const writing = new Deferred<void>();
  const disk = new Deferred<void>();
  await using _running = await startWorker({
    coordinator: coordinator.url,
    data: data.path,
    onJournal(journal) {
      const add = journal.add.bind(journal);
      journal.add = async (...report) => {
        await add(...report);
        writing.resolve();
        await disk.promise;
      };
    },
  });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  await writing.promise;
  assert.equal(coordinator.heard('report'), []);
  disk.resolve();
  await coordinator.wait('report');
});

test('a restarted agent still has its report, which waits for no frame of the old process', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator({ contents: tree });
  const first = await startWorker({ coordinator: coordinator.url, data: data.path });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  const report = await coordinator.wait('report');
  await first.kill();
  await using second = await startWorker({ coordinator: coordinator.url, data: data.path });
  const hello = await coordinator.wait('hello', 2);
  assert.is.not(hello.session, coordinator.heard('hello')[0]?.session);
  assert.equal(hello.attempts, [attempt(1)]);
  assert.equal(await coordinator.wait('report', 2), { ...report, lastFrame: 0 });
  coordinator.send({ type: 'settle', attempt: attempt(1) });
  await until(() => second.worker.status().unsettled === 0);
});

test('a draining agent takes nothing new, ends what it has, and stops when that is settled', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path, slots: 2 });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  await coordinator.wait('accept');
  let drained = false;
  const draining = running.worker.drain().then(() => (drained = true));
  assert.equal(await coordinator.wait('beat'), {
    type: 'beat',
    state: 'draining',
    reason: 'the agent is stopping',
    contexts: running.worker.status().contexts,
    disks: [],
  });
  coordinator.send({ type: 'offer', attempt: attempt(2), task });
  assert.match((await coordinator.wait('decline')).reason, 'the agent is stopping');
  assert.not(drained);
  coordinator.send({ type: 'cancel', attempt: attempt(1), reason: 'x' });
  await coordinator.wait('report');
  assert.not(drained);
  coordinator.send({ type: 'settle', attempt: attempt(1) });
  await draining;
  await running.stopped;
  assert.is(coordinator.heard('accept').length, 1);
});

test('an idle agent stops at once, connected or not', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  {
    await using running = await startWorker({ coordinator: coordinator.url, data: data.path });
    await until(() => running.worker.status().connected);
    await running.worker.drain();
    await running.stopped;
  }
  await using unreachable = await startWorker({
    coordinator: new URL('http://127.0.0.1:1/'),
    data: data.path,
  });
  await until(() => unreachable.worker.status().error.includes('ECONNREFUSED'));
  await unreachable.worker.drain();
  await unreachable.stopped;
});

test('an agent that is told to end at once takes no offer while it does', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  await coordinator.wait('accept');
  const hello = coordinator.agents[0];
  hello?.on('message', (data) => {
    if (toBuffer(data).includes('"report"')) coordinator.send({ type: 'offer', attempt: attempt(2), task });
  });
  await running.worker.abort('told to');
  await running.stopped;
  assert.is(coordinator.heard('accept').length, 1);
  assert.equal(
    coordinator.heard('report').map(({ outcome }) => outcome),
    [{ status: 'cancelled', reason: 'told to' }],
  );
});

test('an agent that is cut off for too long gives up its attempts', async () => {
  await using data = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  const timers = { cutOff: 200, tick: 10, reconnect: 60_000, reconnectMax: 60_000 };
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path, timers });
  await coordinator.wait('hello');
  coordinator.send({ type: 'offer', attempt: attempt(1), task });
  await coordinator.wait('accept');
  coordinator.agents[0]?.terminate();
  await until(() => running.worker.status().jobs.length === 0);
  assert.is(running.worker.status().unsettled, 1);
});

test('a coordinator that falls silent, is malformed or says what nobody knows is dialed again [B8]', async () => {
  await using data = await temporaryDirectory();
  const said: ((socket: { send(text: string): void }) => void)[] = [
    (socket) => socket.send('{"type":"beat","state":"ready"}'),
    (socket) => socket.send('{"type":"halt"}'),
    (socket) => {
      socket.send(JSON.stringify(welcome()));
      socket.send('{"type":"halt"}');
    },
    (socket) => socket.send(JSON.stringify(welcome({ heartbeat: 20, lost: 50 }))),
    (socket) => {
      socket.send(JSON.stringify(welcome()));
      socket.send(JSON.stringify(welcome()));
    },
    (socket) => socket.send(JSON.stringify(welcome())),
  ];
  const closes: string[] = [];
  await using coordinator = await scriptedCoordinator({
    onHello(socket) {
      socket.on('close', (code, reason) => closes.push(`${code} ${String(reason)}`));
      said.shift()?.(socket);
    },
  });
  await using running = await startWorker({ coordinator: coordinator.url, data: data.path });
  await coordinator.wait('hello', 6);
  await until(() => running.worker.status().connected);
  assert.match(closes[0] ?? '', /^4400 bad message "beat": state: /);
  // One that nobody knows is no reason to end, whenever it comes: the next coordinator may be of this protocol.
  for (const close of closes.slice(1, 3)) assert.match(close, /^4405 unknown message "halt": agent /);
  assert.is(closes[3], '1006 ');
  assert.is(closes[4], '4400 a second welcome');
});

test.run();

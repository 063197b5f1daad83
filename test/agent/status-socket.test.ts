import { once } from 'node:events';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readStatus, serveStatus, type AgentStatus } from '../../agent/status-socket.ts';
import { formatStatus } from '../../agent/status-text.ts';
import { failureOf } from '../support/failure.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const status: AgentStatus = {
  pid: 7,
  version: '0.1.0',
  name: 'pi-01',
  coordinator: 'http://farm:7480/',
  connected: true,
  error: '',
  state: 'ready',
  platforms: [
    { platform: 'linux/arm64/v8', native: true },
    { platform: 'linux/amd64', native: false },
  ],
  slots: 2,
  jobs: [{ attempt: 'b/linux/amd64/1', image: 'h/app-amd64:latest', seconds: 61 }],
  unsettled: 3,
  contexts: { bytes: 1.2e9, maxBytes: 2e9, hits: 1, hitBytes: 979, misses: 1, missBytes: 21 },
  reclaimed: { images: 1, cacheBytes: 3e9, at: Date.UTC(2030, 0, 2, 3, 4, 5) },
};

test('a running agent tells how it is, to its own user alone', async () => {
  await using dir = await temporaryDirectory();
  const socket = join(dir.path, 'status.sock');
  let slots = 2;
  {
    await using _served = await serveStatus(dir.path, () => ({ ...status, slots }));
    assert.equal(await readStatus(dir.path), status);
    slots = 5;
    assert.is((await readStatus(dir.path)).slots, 5);
    assert.is((await stat(socket)).mode & 0o777, 0o600);
  }
  assert.equal(await readdir(dir.path), []);
});

test('what a dead agent left in its place is replaced', async () => {
  await using dir = await temporaryDirectory();
  await writeFile(join(dir.path, 'status.sock'), '');
  await using _served = await serveStatus(dir.path, () => status);
  assert.equal(await readStatus(dir.path), status);
});

test('no agent, or something else in its place, is said with the directory', async () => {
  await using dir = await temporaryDirectory();
  const none = await failureOf(readStatus(dir.path));
  assert.is(none.code, 'agent-lost');
  assert.match(none.message, `no agent runs on ${dir.path}: `);
  assert.match(none.hint ?? '', 'archfarm-agent run');
  await mkdir(join(dir.path, 'status.sock'));
  assert.is((await failureOf(readStatus(dir.path))).code, 'agent-lost');
});

test('an answer that is none is refused, and one that never comes is given up', async () => {
  await using dir = await temporaryDirectory();
  let answer: string | undefined = '{"pid":"x"}';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (answer !== undefined) socket.end(answer);
  });
  server.listen(join(dir.path, 'status.sock'));
  await once(server, 'listening');
  try {
    assert.match((await failureOf(readStatus(dir.path))).message, /pid: /);
    answer = undefined;
    assert.match((await failureOf(readStatus(dir.path, { timeout: 50 }))).message, /no answer/);
  } finally {
    server.close();
    await once(server, 'close');
  }
});

test('the text shows connection, platforms, jobs and what waits', () => {
  assert.is(
    formatStatus(status),
    [
      'agent        pi-01 (archfarm-agent 0.1.0, pid 7)',
      'coordinator  http://farm:7480/ connected',
      'state        ready',
      'platforms    linux/arm64/v8, linux/amd64 (emulated)',
      'slots        1 of 2 busy',
      '             b/linux/amd64/1  h/app-amd64:latest  61 s',
      'contexts     1.2 GB, 97 % here',
      'reclaimed    1 image and 3.0 GB of build cache since the agent started, last at 2030-01-02T03:04:05.000Z',
      'unsettled    3 reports wait for the coordinator',
      '',
    ].join('\n'),
  );
  const away = formatStatus({
    ...status,
    connected: false,
    error: 'refused',
    state: 'cordoned',
    reason: 'no engine',
    platforms: [],
    unsettled: 0,
  });
  assert.match(away, 'coordinator  http://farm:7480/ not connected: refused\n');
  assert.match(away, 'state        cordoned: no engine\nplatforms    none\n');
  assert.not.match(away, 'unsettled');
});

test.run();

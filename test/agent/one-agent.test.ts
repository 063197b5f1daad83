/** One agent a data directory, from its first moment on: two would share a journal. */
import { once } from 'node:events';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readStatus } from '../../agent/status-socket.ts';
import { scriptedCoordinator } from '../support/scripted-coordinator.ts';
import { spawnAgent } from '../support/spawned-agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

interface SilentEngine extends AsyncDisposable {
  readonly host: string;
  /** How many connections it has taken. */
  readonly asked: number;
}

async function silentEngine(directory: string): Promise<SilentEngine> {
  const path = join(directory, 'docker.sock');
  let asked = 0;
  const server = createServer((socket) => {
    asked += 1;
    socket.on('error', () => {}).resume();
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    host: `unix://${path}`,
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

test('a second agent does not start while the first one waits for its engine, and the status says what that does', async () => {
  await using directory = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using engine = await silentEngine(directory.path);
  const data = join(directory.path, 'data');
  const start = (): ReturnType<typeof spawnAgent> =>
    spawnAgent({ coordinator: coordinator.url, data, engine: engine.host });
  await using first = start();
  await until(() => engine.asked > 0, { what: 'the first agent asks its engine' });
  const status = await readStatus(data);
  assert.is(status.pid, first.pid);
  assert.is(status.state, 'cordoned');
  assert.match(status.reason ?? '', 'starting');

  await using second = start();
  assert.is(await second.ended(), 2, second.stderr);
  assert.match(second.stderr, `agent pi-01 (pid ${first.pid}) runs on ${data}`);
  assert.is(engine.asked, 1);
  assert.is(first.exitCode, undefined, first.stderr);
});

test('of agents that find a dead one in their place one alone starts', async () => {
  await using directory = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using engine = await silentEngine(directory.path);
  const data = join(directory.path, 'data');
  await mkdir(data);
  await writeFile(join(data, 'status.sock'), '');
  const started = Array.from({ length: 4 }, () =>
    spawnAgent({ coordinator: coordinator.url, data, engine: engine.host }),
  );
  try {
    const running = (): number => started.filter(({ exitCode }) => exitCode === undefined).length;
    await until(() => running() === 1 && engine.asked > 0, { what: 'one alone runs' });
    const { pid } = await readStatus(data);
    assert.is(started.find(({ exitCode }) => exitCode === undefined)?.pid, pid);
    assert.equal(
      (await readdir(data)).filter((name) => name.startsWith('status')),
      ['status.sock'],
    );
  } finally {
    for (const agent of started) await agent[Symbol.asyncDispose]();
  }
});

test('an agent that is there and says nothing is one, too', async () => {
  await using directory = await temporaryDirectory();
  await using coordinator = await scriptedCoordinator();
  await using _silent = await silentEngine(directory.path);
  // A process that stands still has its connections taken by the kernel.
  await rename(join(directory.path, 'docker.sock'), join(directory.path, 'status.sock'));
  await using agent = spawnAgent({
    coordinator: coordinator.url,
    data: directory.path,
    engine: 'unix:///nowhere',
  });
  assert.is(await agent.ended(), 2, agent.stderr);
  assert.match(agent.stderr, `another agent runs on ${directory.path}`);
});

test.run();

/** An agent whose own disk takes nothing more is cordoned for that, and no host that is away. */
import { appendFile, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readStatus } from '../../agent/status-socket.ts';
import type { Hello } from '../../shared/messages.ts';
import type { Outcome } from '../../shared/task.ts';
import { sampleDigest } from '../support/sample-messages.ts';
import { scriptedCoordinator, type ScriptedCoordinator } from '../support/scripted-coordinator.ts';
import { smallDisk, type SmallDisk } from '../support/small-disk.ts';
import { spawnAgent, type SpawnedAgent } from '../support/spawned-agent.ts';
import { until } from '../support/until.ts';
import { currentVersion, startFakeEngine } from './engine/fake-engine.ts';

const engine = await startFakeEngine({
  ...currentVersion,
  'GET /_ping': 'OK',
  'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 's390x' }),
  'GET /containers/json': '[]',
});

const attempt = 'build/linux/s390x/1';
const outcome: Outcome = {
  status: 'pushed',
  image: { imageId: sampleDigest, digest: sampleDigest, size: 5, timings: { build: 3 }, sentBytes: 9 },
};
const report = `${JSON.stringify({ attempt, outcome })}\n`;

interface Host {
  readonly disk: SmallDisk;
  readonly data: string;
  readonly journal: string;
  readonly coordinator: ScriptedCoordinator;
  start(): SpawnedAgent;
}

/** On which an agent has run before. */
async function hostOf(disk: SmallDisk, coordinator: ScriptedCoordinator): Promise<Host> {
  const data = join(disk.path, 'data');
  const start = (): SpawnedAgent => spawnAgent({ coordinator: coordinator.url, data, engine: engine.host });
  await using first = start();
  await hello(coordinator, first, 1);
  first.kill('SIGTERM');
  assert.is(await first.ended(), 0, first.stderr);
  return { disk, data, journal: join(data, 'journal.ndjson'), coordinator, start };
}

/** An agent that ends says more than a hello that does not come. */
async function hello(coordinator: ScriptedCoordinator, agent: SpawnedAgent, count: number): Promise<Hello> {
  return until(() => {
    assert.is(agent.exitCode, undefined, agent.stderr);
    return coordinator.heard('hello')[count - 1];
  });
}

/** The second agent of the host tells why it takes no work, and again what the first could not get rid of. */
async function isCordoned({ coordinator }: Host, agent: SpawnedAgent, reason: RegExp): Promise<void> {
  const { state, reason: said } = await hello(coordinator, agent, 2);
  assert.is(state, 'cordoned');
  assert.match(said ?? '', reason);
  const { attempt: told, outcome: sent } = await coordinator.wait('report');
  assert.equal([told, sent], [attempt, outcome]);
}

async function isReady({ coordinator }: Host): Promise<void> {
  await until(() => coordinator.heard('beat').at(-1)?.state === 'ready', { what: 'the agent is ready' });
}

/** Takes all space that is left, to the last page. */
async function fill(path: string): Promise<void> {
  for (let size = 1 << 16; size >= 512; size /= 2) {
    while (
      await appendFile(path, Buffer.alloc(size)).then(
        () => true,
        () => false,
      )
    );
  }
}

test('an agent whose disk is full says so, tells again what it built, and works when there is room', async () => {
  await using disk = await smallDisk(1 << 20);
  await using coordinator = await scriptedCoordinator();
  const host = await hostOf(disk, coordinator);
  // What an agent leaves that was killed as the disk became full.
  const settled = `{"attempt":"build/linux/s390x/0","outcome":${JSON.stringify(outcome)}}\n{"settled":"build/linux/s390x/0"}\n`;
  await writeFile(host.journal, `${settled}${report}{"settled":"build/lin`);
  await fill(join(disk.path, 'filler'));
  await using agent = host.start();
  await isCordoned(host, agent, /^disk: .* free at .*\/data, less than /);
  assert.match(agent.stderr, host.journal);
  assert.is((await readStatus(host.data)).unsettled, 1);

  await rm(join(disk.path, 'filler'));
  await isReady(host);
  coordinator.send({ type: 'settle', attempt });
  await until(async () => (await readStatus(host.data)).unsettled === 0);
  agent.kill('SIGTERM');
  assert.is(await agent.ended(), 0, agent.stderr);
  // The torn line took nothing with it.
  assert.match(await readFile(host.journal, 'utf8'), `\n{"settled":"${attempt}"}\n`);
});

test('an agent whose disk has no inode left says so, and is asked for its status when there is one', async () => {
  await using disk = await smallDisk(1 << 20, { inodes: 100 });
  await using coordinator = await scriptedCoordinator();
  const host = await hostOf(disk, coordinator);
  await writeFile(host.journal, `{"settled":"build/linux/s390x/0"}\n${report}`);
  const { ffree } = await statfs(disk.path);
  const files = Array.from({ length: ffree }, (_, number) => join(disk.path, `file-${number}`));
  for (const file of files) await writeFile(file, '');
  await using agent = host.start();
  await isCordoned(host, agent, /^disk: no inode is free at /);
  assert.match(agent.stderr, 'status.sock');

  for (const file of files) await rm(file);
  await isReady(host);
  const answers = (): Promise<boolean> =>
    readStatus(host.data).then(
      () => true,
      () => false,
    );
  await until(answers, { what: 'the agent answers for its status' });
});

test('an agent whose disk has become read-only says so, and works when that is over', async () => {
  await using disk = await smallDisk(1 << 20);
  await using coordinator = await scriptedCoordinator();
  const host = await hostOf(disk, coordinator);
  await writeFile(host.journal, report);
  await disk.remount('ro');
  await using agent = host.start();
  await isCordoned(host, agent, /^disk: the file system at .*\/data is read-only/);
  await disk.remount('rw');
  await isReady(host);
});

test('gives the engine back', async () => {
  await engine[Symbol.asyncDispose]();
});

test.run();

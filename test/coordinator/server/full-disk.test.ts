import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { openDatabase } from '../../../coordinator/store/database.ts';
import { closeCodes } from '../../../shared/messages.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import type { HttpAnswer } from '../../support/http-request.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { closeOf } from '../../support/web-sockets.ts';

const platform = 'linux/arm64/v8';
const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const directories = [...tree.records.values()].map((record) => record.toString('base64'));
const spec = sampleSpec({
  platforms: [platform],
  context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
  dockerfile: { root: tree.root, name: 'Dockerfile' },
});
const buildAnswer = v.object({ build: v.string() });
const refusal = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});
const error = { code: 'build-failed', message: 'RUN false' } as const;
const outcome = { status: 'failed', kind: 'build', error, timings: {}, sentBytes: 0 } as const;

function submit(running: RunningCoordinator): Promise<HttpAnswer> {
  return running.ask('/v1/builds', { method: 'POST', body: { spec, directories } });
}

/** Takes all space that is left, to the last page. */
async function fill(path: string): Promise<void> {
  for (let size = 1 << 20; size >= 512; size /= 2) {
    for (;;) {
      const written = await writeFile(path, Buffer.alloc(size), { flag: 'a' }).then(
        () => true,
        () => false,
      );
      if (!written) break;
    }
  }
}

test('a full disk refuses new builds by that name, keeps results at agents, and goes on when there is space', async () => {
  await using disk = await smallDisk(8 * 1024 * 1024);
  const data = join(disk.path, 'data');
  const filler = join(disk.path, 'filler');
  {
    await using running = await runningCoordinator({}, undefined, { data });
    const agent = await running.agent({ slots: 4 });
    await agent.wait('welcome');
    const { build } = v.parse(buildAnswer, (await submit(running)).body);
    const { attempt } = await agent.wait('offer');
    agent.send({ type: 'accept', attempt });
    const running1 = async (): Promise<boolean> =>
      JSON.stringify((await running.ask(`/v1/builds/${build}`)).body).includes('"status":"running"');
    await until(running1);

    await fill(filler);
    const start = performance.now();
    const refused = await submit(running);
    const took = performance.now() - start;
    assert.is(refused.status, 507, JSON.stringify(refused.body));
    const said = v.parse(refusal, refused.body).error;
    assert.is(said.code, 'disk-full');
    assert.match(said.message, data);
    assert.match(said.hint ?? '', 'free some space');
    assert.ok(took < 5_000, `refused after ${took} ms`);

    const closed = closeOf(agent.socket);
    const events = [{ type: 'log', time: 1, step: 's', stream: 'stdout', text: 'x'.repeat(60_000) }] as const;
    agent.send({ type: 'progress', attempt, frame: 1, events });
    agent.send({ type: 'report', attempt, lastFrame: 1, outcome });
    assert.is((await closed).code, closeCodes.restart);
    assert.not(agent.messages.some(({ type }) => type === 'settle' || type === 'acknowledge'));
    assert.ok(await running1(), 'a result that cannot be stored is none');

    await rm(filler);
    const back = await running.agent({ slots: 4, attempts: [attempt] });
    await back.wait('welcome');
    back.send({ type: 'progress', attempt, frame: 1, events });
    back.send({ type: 'report', attempt, lastFrame: 1, outcome });
    assert.is((await back.wait('settle')).attempt, attempt);
    const log = await running.ask(`/v1/builds/${build}/events?follow=1`);
    const numbers = String(log.body)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => v.parse(v.object({ seq: v.number() }), JSON.parse(line)).seq);
    assert.equal(
      numbers,
      numbers.map((_, index) => index + 1),
    );
    assert.is((await submit(running)).status, 201);
  }
  const database = await openDatabase(join(data, 'archfarm.db'));
  assert.equal(database.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }]);
  database.close();
});

// As it is where SQLite has room in what it has of the disk already.
test('where only logs have no space nothing new is taken either, and what gives signs of life has not stalled', async () => {
  const stall = 2_000;
  await using directory = await temporaryDirectory();
  await using disk = await smallDisk(1024 * 1024);
  const data = join(directory.path, 'data');
  await mkdir(data);
  await symlink(disk.path, join(data, 'logs'));
  await using running = await runningCoordinator({ stall }, undefined, { data });
  const agent = await running.agent();
  await agent.wait('welcome');
  const { build } = v.parse(buildAnswer, (await submit(running)).body);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  const events = [{ type: 'log', time: 1, step: 's', stream: 'stdout', text: 'x'.repeat(60_000) }] as const;
  const filler = join(disk.path, 'filler');
  await fill(filler);
  assert.is((await submit(running)).status, 507);

  const from = performance.now();
  for (let told = agent; performance.now() - from < 1.5 * stall;) {
    const { body } = await running.ask(`/v1/builds/${build}`);
    assert.match(JSON.stringify(body), '"status":"running"');
    const closed = closeOf(told.socket);
    told.send({ type: 'progress', attempt, frame: 1, events });
    await closed;
    told = await running.agent({ attempts: [attempt] });
    await told.wait('welcome');
  }

  await rm(filler);
  const back = await running.agent({ attempts: [attempt] });
  back.send({ type: 'progress', attempt, frame: 1, events });
  await back.wait('acknowledge');
  assert.is((await submit(running)).status, 201);
});

test.run();

import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { runningCoordinator } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { until } from '../../support/until.ts';

const recordSchema = v.looseObject({
  msg: v.string(),
  build: v.optional(v.string()),
  task: v.optional(v.string()),
  attempt: v.optional(v.string()),
  agent: v.optional(v.string()),
});

test('every line about an attempt names its build, its task and its agent', async () => {
  const records: v.InferOutput<typeof recordSchema>[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line) => records.push(v.parse(recordSchema, JSON.parse(line))) },
  );
  await using running = await runningCoordinator({}, () => false, { log });
  const agent = await running.agent({ name: 'pi-01', protocol: 1 });
  const build = await submitBuild(running, { platforms: ['linux/arm64/v8'] });
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  // The registry of this coordinator is empty: what is reported is refused.
  const image = {
    imageId: `sha256:${'1'.repeat(64)}`,
    digest: `sha256:${'2'.repeat(64)}`,
    size: 3,
    timings: {},
    sentBytes: 0,
  };
  agent.send({ type: 'report', attempt, lastFrame: 0, outcome: { status: 'pushed', image } });
  await until(() => records.some(({ msg }) => msg === 'a reported image was refused'));
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  await until(() => records.some(({ msg }) => msg === 'cancelled'));

  const about = records.filter((record) => JSON.stringify(record).includes(build));
  assert.ok(about.length > 4, JSON.stringify(about));
  for (const record of about) assert.is(record.build, build, JSON.stringify(record));
  const tried = records.filter((record) => record.attempt !== undefined);
  assert.ok(tried.some(({ msg }) => msg === 'running'));
  for (const record of tried) {
    assert.equal([record.task, record.agent], ['linux/arm64/v8', 'pi-01'], JSON.stringify(record));
  }
  const older = records.find(({ msg }) => msg.startsWith('an agent of an older protocol'));
  assert.is(older?.agent, 'pi-01');
});

test.run();

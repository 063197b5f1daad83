import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WorkPool } from '../../../agent/engine/work-pool.ts';
import { Deferred } from '../../../shared/context/deferred.ts';

interface Job {
  readonly weight: number;
  readonly end: Deferred<void>;
}

function jobs(...weights: readonly number[]): Job[] {
  return weights.map((weight) => ({ weight, end: new Deferred() }));
}

function poolOf(limits: { limit: number; maxWeight: number }) {
  const started: Job[] = [];
  const failures: unknown[] = [];
  const pool = new WorkPool<Job>({
    ...limits,
    weigh: (job) => job.weight,
    run(job) {
      started.push(job);
      return job.end.promise;
    },
    onFailure: (error) => failures.push(error),
  });
  return { pool, started, failures };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test('runs jobs in order, as many as both bounds allow, and a heavy one alone', async () => {
  const { pool, started } = poolOf({ limit: 3, maxWeight: 10 });
  const all = jobs(1, 1, 1, 1, 9, 50, 2);
  for (const job of all) pool.add(job);
  const steps = [3, 4, 4, 5, 5, 6, 7];
  for (const [index, expected] of steps.entries()) {
    assert.equal(started, all.slice(0, expected), `after ${index} ended`);
    all[index]?.end.resolve();
    await turns();
  }
  await pool.idle();
});

test('is idle only when nothing runs or waits', async () => {
  const { pool } = poolOf({ limit: 1, maxWeight: 1 });
  await pool.idle();
  const all = jobs(1, 1);
  for (const job of all) pool.add(job);
  let isIdle = false;
  const idle = pool.idle().then(() => (isIdle = true));
  all[0]?.end.resolve();
  await turns();
  assert.not.ok(isIdle);
  all[1]?.end.resolve();
  await idle;
});

test('starts nothing after a failure', async () => {
  const { pool, started, failures } = poolOf({ limit: 2, maxWeight: 10 });
  const all = jobs(1, 1, 1, 1);
  for (const job of all) pool.add(job);
  const error = new Error('lost');
  all[1]?.end.reject(error);
  await turns();
  all[0]?.end.resolve();
  await pool.idle();
  assert.is(started.length, 2);
  assert.equal(failures, [error]);
});

test('takes hundreds of thousands of jobs at once', async () => {
  let done = 0;
  const pool = new WorkPool<number>({
    limit: 64,
    maxWeight: 64,
    weigh: () => 1,
    run: async () => void (done += 1),
    onFailure: () => {},
  });
  for (let job = 0; job < 300_000; job++) pool.add(job);
  await pool.idle();
  assert.is(done, 300_000);
});

test.run();

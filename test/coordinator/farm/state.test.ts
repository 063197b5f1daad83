import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultTimers } from '../../../shared/timers.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { apply, unfinishedWork } from '../../../coordinator/farm/state.ts';
import { attempt, FarmBench, published, single } from '../../support/farm-bench.ts';
import { amd64, arm64, pushedBy, sampleAgent } from '../../support/farm-fixtures.ts';

test('builds every platform, publishes the verified children in order and ends', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b', { platforms: [{ platform: arm64, native: true }] }));
  bench.submit('one');
  assert.equal(
    bench.take('offer').map(({ agent, attempt: { platform } }) => [agent, platform]),
    [
      ['a', amd64],
      ['b', arm64],
    ],
  );
  bench.deliver(attempt('one', arm64));
  assert.is(bench.take('publish').length, 0, 'one platform is missing');
  bench.deliver(attempt('one', amd64));
  const [publish, ...more] = bench.take('publish');
  assert.is(more.length, 0);
  assert.equal(
    publish?.children.map((child) => child.platform.architecture),
    ['amd64', 'arm64'],
  );
  bench.tell({ type: 'published', build: 'one', descriptor: published, tags: publish!.tags, duration: 20 });
  const [finished] = bench.take('finished');
  assert.is(finished?.result.status, 'succeeded');
  assert.is(finished?.result['containerimage.digest'], 'sha256:list');
  assert.equal(
    finished?.result.platforms.map(({ platform, status, agent, native }) => [
      platform,
      status,
      agent,
      native,
    ]),
    [
      [amd64, 'pushed', 'a', true],
      [arm64, 'pushed', 'b', true],
    ],
  );
  assert.is(finished?.result.platforms[1]?.reference, 'localhost:5000/onap/py-app-arm64v8:latest');
  assert.is(bench.state.builds.size, 0);
});

test('a build error ends its task at the first try while the other platform finishes', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 2 }));
  bench.connect(sampleAgent('b', { platforms: [{ platform: arm64, native: true }] }));
  bench.submit('one');
  bench.fail(attempt('one', amd64), 'build');
  assert.is(bench.take('finished').length, 0);
  bench.deliver(attempt('one', arm64));
  const effects = bench.take('finished');
  assert.is(effects[0]?.result.status, 'failed');
  assert.is(effects[0]?.result.error?.code, 'build-failed');
  assert.equal(
    effects[0]?.result.platforms.map(({ status }) => status),
    ['failed', 'pushed'],
  );
});

test('cancel ends a build once, stops its agents and comes too late for a build that publishes', () => {
  const bench = new FarmBench();
  const error = { code: 'cancelled', message: 'cancelled by a user' } as const;
  bench.connect(sampleAgent('a', { slots: 2 }));
  bench.submit('one', single);
  bench.submit('two', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.take();
  bench.tell({ type: 'cancelled', build: 'one', error });
  bench.tell({ type: 'cancelled', build: 'one', error });
  bench.deliver(attempt('two', amd64));
  bench.tell({ type: 'cancelled', build: 'two', error });
  const effects = bench.take('finished');
  assert.equal(
    effects.map(({ result }) => [result.build, result.status]),
    [['one', 'cancelled']],
  );
  assert.is(bench.state.builds.get('two')?.status, 'publishing');
});

test('an interrupted publication begins again with what its first run found at the tags', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.deliver(attempt('one', amd64));
  const [first] = bench.take('publish');
  assert.is(first?.previous, undefined);
  const previous = { 'localhost:5000/onap/py-app:latest': 'sha256:old' };
  bench.tell({ type: 'moving', build: 'one', previous });
  bench.tell({ type: 'moving', build: 'one', previous: {} });
  const [again] = unfinishedWork(bench.state);
  assert.equal(again, { ...first, previous });
});

test('an agent that lists an attempt of a build that is over is told to stop, and is free', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'), [attempt('gone', amd64)]);
  assert.equal(
    bench.take('cancel').map(({ agent }) => agent),
    ['a'],
  );
  bench.submit('one', single);
  assert.is(bench.take('offer').length, 1);
});

test('a cancelled job keeps its slot until its agent has reported the end', () => {
  const bench = new FarmBench();
  const error = { code: 'cancelled', message: 'cancelled by a user' } as const;
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.tell({ type: 'cancelled', build: 'one', error });
  bench.take();
  bench.submit('two', single);
  assert.is(bench.take('offer').length, 0);
  const ended = { outcome: 'cancelled', kind: 'infrastructure', error } as const;
  bench.tell({ type: 'failed', attempt: attempt('one', amd64), ...ended });
  assert.is(bench.take('offer').length, 1);
});

test('a verification that fails while a further offer is open leaves the task to that offer', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
  bench.connect(sampleAgent('b'));
  bench.pass(defaultTimers.lost + 1000, () => bench.tell({ type: 'heard', agent: 'b', session: 'b-1' }));
  bench.tell({ type: 'reported', attempt: attempt('one', amd64), image: pushedBy(attempt('one', amd64)) });
  bench.fail(attempt('one', amd64), 'infrastructure');
  bench.take();
  const error = { code: 'agent-lost', message: 'declined' } as const;
  const declined = { outcome: 'declined', kind: 'infrastructure', error } as const;
  bench.tell({ type: 'failed', attempt: attempt('one', amd64, 2), ...declined });
  bench.connect(sampleAgent('c'));
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['c'],
  );
});

test('a failed verification is tried again elsewhere, and a wrong architecture is a verdict', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.tell({ type: 'reported', attempt: attempt('one', amd64), image: pushedBy(attempt('one', amd64)) });
  bench.take();
  bench.fail(attempt('one', amd64), 'infrastructure');
  assert.is(bench.take('offer')[0]?.agent, 'b');
  bench.tell({ type: 'reported', attempt: attempt('one', amd64), image: pushedBy(attempt('one', amd64)) });
  assert.is(bench.take('verify').length, 0, 'a report is looked at once');
  bench.fail(attempt('one', amd64, 2), 'build');
  assert.is(bench.take('finished')[0]?.result.status, 'failed');
});

test('replaying the durable events gives the same builds and the work that was under way', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 9 }));
  for (const id of ['one', 'two', 'three', 'four'])
    bench.submit(id, { ...single, tags: [`localhost:5000/${id}:1`] });
  bench.deliver(attempt('one', amd64));
  bench.tell({ type: 'reported', attempt: attempt('two', amd64), image: pushedBy(attempt('two', amd64)) });
  bench.fail(attempt('three', amd64), 'infrastructure');
  const again = createState({ timers: defaultTimers, startedAt: bench.at });
  for (const event of bench.durable) apply(again, event);
  assert.equal([...again.builds.values()], [...bench.state.builds.values()]);
  assert.equal(
    unfinishedWork(again).map(({ type }) => type),
    ['publish', 'verify'],
  );
});

test.run();
test.run();

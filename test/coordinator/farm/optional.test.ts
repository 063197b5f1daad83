/** Platforms that a build may be published without. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { retryOf } from '../../../coordinator/farm/amend.ts';
import { attempt, FarmBench, published } from '../../support/farm-bench.ts';
import { amd64, arm64, sampleAgent } from '../../support/farm-fixtures.ts';

const optional = { optional: [arm64] };

function benchOfTwo(): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b', { platforms: [{ platform: arm64, native: true }] }));
  return bench;
}

function end(bench: FarmBench) {
  const [publish] = bench.take('publish');
  assert.ok(publish, 'it is published');
  const { tags, children } = publish;
  bench.tell({ type: 'published', build: 'one', descriptor: published, tags, duration: 1 });
  const [finished] = bench.take('finished');
  assert.ok(finished);
  return { ...finished, architectures: children.map(({ platform }) => platform.architecture) };
}

test('a build waits for an optional platform, and is published without it when it fails', () => {
  const bench = benchOfTwo();
  bench.submit('one', optional);
  bench.deliver(attempt('one', amd64));
  assert.is(bench.take('publish').length, 0, 'the other may still come');
  bench.fail(attempt('one', arm64), 'build');
  const { result, remains, architectures } = end(bench);
  assert.equal(architectures, ['amd64']);
  assert.is(result.status, 'succeeded');
  assert.is(result.error, undefined);
  assert.equal(
    result.platforms.map((task) => [task.platform, task.status, task.optional, task.error?.code]),
    [
      [amd64, 'pushed', false, undefined],
      [arm64, 'failed', true, 'build-failed'],
    ],
  );
  assert.equal(Object.keys(retryOf(result, remains).carried ?? {}), [amd64], 'it can be tried again');
});

test('an optional platform that nobody builds is skipped', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', optional);
  bench.deliver(attempt('one', amd64));
  bench.pass(16_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  const { result } = end(bench);
  assert.equal(
    result.platforms.map(({ status }) => status),
    ['pushed', 'skipped'],
  );
  assert.is(result.platforms[1]?.error?.code, 'no-agent');
});

test('an optional platform that is there is published like any other', () => {
  const bench = benchOfTwo();
  bench.submit('one', optional);
  bench.deliver(attempt('one', arm64));
  bench.deliver(attempt('one', amd64));
  assert.equal(end(bench).architectures, ['amd64', 'arm64']);
});

test('without a required platform, or without any at all, nothing is published', () => {
  const bench = benchOfTwo();
  bench.submit('one', optional);
  bench.fail(attempt('one', amd64), 'build');
  bench.deliver(attempt('one', arm64));
  assert.is(bench.take('finished')[0]?.result.status, 'failed');
  bench.submit('two', { optional: [amd64, arm64] });
  bench.fail(attempt('two', amd64), 'build');
  bench.fail(attempt('two', arm64), 'build');
  const [finished] = bench.take('finished');
  assert.is(finished?.result.status, 'failed');
  assert.is(finished?.result.error?.code, 'build-failed');
});

test.run();

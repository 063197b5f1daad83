import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { amendmentOf, requireGiven, retryOf } from '../../../coordinator/farm/amend.ts';
import type { Remains } from '../../../coordinator/farm/events.ts';
import { unfinishedWork } from '../../../coordinator/farm/state.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { attempt, FarmBench, published } from '../../support/farm-bench.ts';
import { amd64, arm64, sampleAgent, sampleSpec } from '../../support/farm-fixtures.ts';

interface Ended {
  readonly result: BuildResult;
  readonly remains: Remains;
}

/** A build whose arm64 image failed. */
function halfFailed(bench: FarmBench): Ended {
  bench.submit('one');
  bench.fail(attempt('one', arm64), 'build');
  bench.deliver(attempt('one', amd64));
  return bench.take('finished')[0]!;
}

function benchOfTwo(): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b', { platforms: [{ platform: arm64, native: true }] }));
  return bench;
}

test('a retry offers only what failed, and publishes it with what the build had pushed', () => {
  const bench = benchOfTwo();
  const { result, remains } = halfFailed(bench);
  const followUp = retryOf(result, remains);
  assert.equal(followUp.origin, { type: 'retry', build: 'one' });
  bench.tell({ type: 'submitted', build: { id: 'two', sequence: 7, client: 'test', ...followUp } });
  assert.equal(
    bench.take('offer').map(({ attempt: { platform } }) => platform),
    [arm64],
  );
  bench.deliver(attempt('two', arm64));
  const [publish] = bench.take('publish');
  assert.equal(
    publish?.children.map(({ platform }) => platform.architecture),
    ['amd64', 'arm64'],
  );
  assert.equal(publish?.children[0], remains.images[amd64]);
  bench.tell({ type: 'published', build: 'two', descriptor: published, tags: publish!.tags, duration: 1 });
  const [finished] = bench.take('finished');
  assert.equal(finished?.result.origin, { type: 'retry', build: 'one' });
  assert.equal(Object.keys(finished?.remains.images ?? {}), [amd64, arm64]);
});

test('a retry of a build that only failed to publish builds nothing, also after a restart', () => {
  const bench = benchOfTwo();
  bench.submit('one');
  bench.deliver(attempt('one', amd64));
  bench.deliver(attempt('one', arm64));
  const error = { code: 'registry-error', message: 'it is read-only' } as const;
  bench.tell({ type: 'publish-failed', build: 'one', error });
  const [ended] = bench.take('finished');
  const followUp = retryOf(ended!.result, ended!.remains);
  bench.tell({ type: 'submitted', build: { id: 'two', sequence: 7, client: 'test', ...followUp } });
  const effects = bench.take('publish');
  assert.is(effects.length, 1);
  assert.is(effects[0]?.children.length, 2);
  assert.is(unfinishedWork(bench.state)[0]?.type, 'publish');
});

test('a retry of a failed amendment is one, of the same build', () => {
  const { result, remains } = halfFailed(benchOfTwo());
  const origin = { type: 'amend', build: 'zero' } as const;
  assert.equal(retryOf(result, { ...remains, origin }).origin, origin);
});

test('an amendment builds just its platforms, in their one spelling, from the same trees', () => {
  const { result, remains } = halfFailed(benchOfTwo());
  const annotations = {
    index: { a: '1' },
    everyPlatform: {},
    platforms: { [amd64]: { b: '2' }, [arm64]: { c: '3' } },
  };
  const { spec, carried, origin } = amendmentOf(
    { ...result, status: 'succeeded' },
    { ...remains, spec: { ...remains.spec, annotations } },
    { platforms: ['linux/aarch64', 'linux/arm64'], allowEmulation: true },
  );
  assert.equal(spec.platforms, [arm64]);
  assert.equal(spec.annotations.platforms, { [arm64]: { c: '3' } });
  assert.is(spec.allowEmulation, true);
  assert.equal(spec.context, remains.spec.context);
  assert.is(carried, undefined);
  assert.equal(origin, { type: 'amend', build: 'one' });
});

test('what cannot be gone on from is refused with what to do instead', () => {
  const { result, remains } = halfFailed(benchOfTwo());
  const asked = { platforms: [arm64], allowEmulation: false };
  const amend = (status: BuildResult['status']) => () => amendmentOf({ ...result, status }, remains, asked);
  const retry = (status: BuildResult['status']) => () => retryOf({ ...result, status }, remains);
  const whole = result.platforms.map((task) => ({ ...task, status: 'pushed' as const }));
  for (const status of ['queued', 'running', 'publishing'] as const) {
    assert.throws(retry(status), /build one still goes on/);
    assert.throws(amend(status), /build one still goes on/);
  }
  assert.throws(
    () => retryOf({ ...result, status: 'succeeded', platforms: whole }, remains),
    /nothing to retry/,
  );
  assert.throws(retry('superseded'), /a newer build than one has published/);
  for (const status of ['failed', 'cancelled', 'superseded'] as const) {
    assert.throws(amend(status), /nothing that could be amended/);
  }
  assert.throws(() => retryOf(result, undefined), /only the result is kept/);
});

test('secrets and ssh agents of the build must be given again', () => {
  const spec = sampleSpec({ secrets: ['word'], ssh: ['default'] });
  const given = { secrets: ['word', 'more'], ssh: ['default'] };
  requireGiven(spec, given);
  assert.throws(() => requireGiven(spec, { ...given, secrets: ['more'] }), /its secret "word" again/);
  assert.throws(() => requireGiven(spec, { ...given, ssh: [] }), /its ssh agent "default" again/);
});

test.run();

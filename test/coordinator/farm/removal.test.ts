/** What becomes of work whose agent is removed from the farm, and of builds that an agent may not push. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildOf } from '../../../coordinator/store/store.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { apply } from '../../../coordinator/farm/state.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, arm64, pushedBy, sampleAgent, verifiedFrom } from '../../support/farm-fixtures.ts';

const first = attempt('one', amd64);
const error = { code: 'agent-lost', message: 'agent a was removed from the farm' } as const;

/** `a` has the first attempt; `b` is there too. */
function offered(change = {}): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', { ...single, ...change });
  bench.tell({ type: 'accepted', attempt: first });
  bench.connect(sampleAgent('b'));
  bench.take();
  return bench;
}

function remove(bench: FarmBench): void {
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
  bench.tell({ type: 'agent-removed', agent: 'a' });
  bench.tell({ type: 'voided', attempt: first, error });
}

test('what a removed agent was building goes to another at once', () => {
  const bench = offered();
  remove(bench);
  assert.equal(
    bench.take('offer').map((offer) => [offer.agent, offer.attempt.number]),
    [['b', 2]],
  );
  bench.deliver(attempt('one', amd64, 2));
  assert.is(bench.take('publish').length, 1);
});

test('whatever is said of a void attempt later has no effect', () => {
  const bench = offered();
  remove(bench);
  bench.take();
  const image = pushedBy(first);
  bench.tell({ type: 'reported', attempt: first, image });
  bench.tell({ type: 'verified', attempt: first, image: verifiedFrom(first, image) });
  bench.fail(first, 'build');
  bench.tell({ type: 'resumed', attempt: first });
  bench.connect(sampleAgent('a'), [first]);
  assert.equal([...bench.take('verify'), ...bench.take('publish')], []);
  assert.is(bench.state.builds.get('one')?.tasks.get(amd64)?.attempts[0]?.status, 'ended');
  bench.deliver(attempt('one', amd64, 2));
  assert.equal(
    bench.take('publish').map(({ children }) => children.map(({ descriptor }) => descriptor.digest)),
    [[pushedBy(attempt('one', amd64, 2)).digest]],
  );
});

test('an image that is being verified, or is verified, when its agent is removed is built again elsewhere', () => {
  for (const isVerified of [false, true]) {
    const bench = offered({ platforms: [amd64, arm64] });
    const image = pushedBy(first);
    bench.tell({ type: 'reported', attempt: first, image });
    if (isVerified) bench.tell({ type: 'verified', attempt: first, image: verifiedFrom(first, image) });
    remove(bench);
    bench.tell({ type: 'verified', attempt: first, image: verifiedFrom(first, image) });
    const task = bench.state.builds.get('one')?.tasks.get(amd64);
    assert.equal([task?.status, task?.image, task?.attempts[0]?.outcome], ['queued', undefined, 'lost']);
    assert.is(bench.take('offer')[0]?.agent, 'b');
  }
});

test('a build that has begun to publish keeps what it publishes', () => {
  const bench = offered();
  bench.deliver(first);
  assert.is(bench.take('publish').length, 1);
  remove(bench);
  assert.is(bench.state.builds.get('one')?.tasks.get(amd64)?.status, 'pushed');
});

test('a removal survives a restart, with the attempts that it made void', () => {
  const bench = offered();
  remove(bench);
  const state = createState({ timers: defaultTimers, startedAt: bench.at });
  for (const event of bench.durable.filter((stored) => buildOf(stored) === 'one')) apply(state, event);
  apply(state, { type: 'reported', at: bench.at, attempt: first, image: pushedBy(first) });
  const [attempted] = state.builds.get('one')?.tasks.get(amd64)?.attempts ?? [];
  assert.equal([attempted?.isVoid, attempted?.report, attempted?.outcome], [true, undefined, 'lost']);
});

test('an agent is offered only what it may push, and an error says where that is', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { repositories: ['localhost:5000/lab', 'localhost:5000/onap/py-app'] }));
  const tagged = (id: string, tag: string): void => bench.submit(id, { ...single, tags: [tag] });
  tagged('foreign', 'localhost:5000/onap/other:1');
  tagged('beside', 'localhost:5000/onap/py-app-2:1');
  tagged('own', 'localhost:5000/onap/py-app:1');
  assert.equal(
    bench.take('offer').map((offer) => offer.attempt.build),
    ['own'],
  );
  bench.pass(20_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  const failures = bench.durable.filter((event) => event.type === 'abandoned');
  assert.equal(failures.map(({ build }) => build).toSorted(), ['beside', 'foreign']);
  assert.match(
    failures[0]?.error.message ?? '',
    'a (linux/amd64, pushes to localhost:5000/lab and localhost:5000/onap/py-app alone)',
  );
  assert.match(failures[0]?.error.hint ?? '', '--allow-push');
});

test.run();

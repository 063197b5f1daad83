/** What becomes of work whose agent falls silent, hangs up or keeps coming and going, while another agent is idle. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultTimers } from '../../../shared/timers.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { decide } from '../../../coordinator/farm/scheduler.ts';
import { apply } from '../../../coordinator/farm/state.ts';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, sampleAgent, sampleSpec } from '../../support/farm-fixtures.ts';

const second = 1000;
const first = attempt('one', amd64);

/** `a` builds; `b` is idle from then on, and always there. */
function building(): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: first });
  bench.connect(sampleAgent('b'));
  bench.take();
  return bench;
}

function hear(bench: FarmBench, ...names: string[]): () => void {
  return () => names.forEach((agent) => bench.tell({ type: 'heard', agent, session: `${agent}-1` }));
}

function hangUp(bench: FarmBench): void {
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
}

test('a closed connection alone gives nothing to anybody else before its agent counts as lost', () => {
  const bench = building();
  hangUp(bench);
  bench.pass(defaultTimers.lost, hear(bench, 'b'));
  assert.equal(bench.take('offer'), []);
  bench.pass(second, hear(bench, 'b'));
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['b'],
    'within 46 s',
  );
});

test('an agent whose connection breaks every seven seconds keeps its work, and brings it to its end', () => {
  const bench = building();
  for (let minutes = 0; minutes < 5; minutes += 7 / 60) {
    hangUp(bench);
    bench.pass(7 * second, hear(bench, 'b'));
    bench.connect(sampleAgent('a'), [first]);
  }
  assert.equal(bench.take('offer'), []);
  bench.deliver(first);
  assert.is(bench.take('publish').length, 1);
});

test('an agent that vanishes with every offer gets fewer of them, and none is a try of the build [B11]', () => {
  const bench = new FarmBench();
  bench.submit('one', { ...single, waitAgent: 600 * second });
  let offers = 0;
  for (let seconds = 0; seconds < 300; seconds += 5) {
    bench.connect(sampleAgent('a'));
    bench.pass(2 * second);
    offers += bench.take('offer').length;
    hangUp(bench);
    bench.pass(3 * second);
  }
  assert.ok(offers >= 3 && offers <= 8, `${offers} offers in five minutes`);
  assert.is(bench.state.builds.get('one')?.status, 'queued');
});

test('an agent that is frozen for 20 s loses nothing; for 120 s, its work is done elsewhere', () => {
  const bench = building();
  bench.pass(20 * second, hear(bench, 'b'));
  hear(bench, 'a')();
  assert.equal(bench.take('notify'), []);
  bench.pass(46 * second, hear(bench, 'b'));
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['b'],
  );
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64, 2) });
  bench.pass(74 * second, hear(bench, 'b'));
  bench.deliver(attempt('one', amd64, 2));
  assert.is(bench.take('cancel')[0]?.agent, 'a', 'told when it wakes');
  bench.deliver(first);
  assert.equal(bench.take('verify'), []);
});

test('an agent that is suspected gets no new work until it is heard', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.pass(defaultTimers.suspect + second);
  bench.submit('one', { ...single, waitAgent: 60 * second });
  assert.equal(bench.take('offer'), []);
  hear(bench, 'a')();
  bench.pass(second);
  assert.is(bench.take('offer')[0]?.agent, 'a');
});

test('an agent that begins what was given up while it dialed again is told to stop, and is given it anew', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', { ...single, waitAgent: 600 * second });
  // Its hello was written before the offer came to it.
  bench.connect(sampleAgent('a'));
  bench.take();
  bench.tell({ type: 'accepted', attempt: first });
  assert.equal(
    bench.take('cancel').map(({ attempt: { number }, agent }) => [number, agent]),
    [[1, 'a']],
  );
  bench.pass(defaultTimers.retry, hear(bench, 'a'));
  assert.equal(
    bench.take('offer').map(({ attempt: { number } }) => number),
    [2],
  );
});

test('an accept that comes twice does not stop what its agent is back with', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: first });
  bench.pass(defaultTimers.lost + second);
  bench.connect(sampleAgent('b'));
  bench.connect(sampleAgent('a'), [first]);
  bench.tell({ type: 'accepted', attempt: first });
  assert.equal(bench.take('cancel'), []);
});

test('an agent that dials again and again while its engine is down keeps no build waiting', () => {
  const state = createState({ timers: defaultTimers, startedAt: -defaultTimers.grace });
  const spec = sampleSpec({ ...single, waitAgent: 15 * second });
  const build = { id: 'one', sequence: 1, spec, client: 'test' };
  const dial = (at: number): void => {
    apply(state, { type: 'agent-up', at, agent: sampleAgent('a'), attempts: [] });
    apply(state, { type: 'beat', at, agent: 'a', session: 'a-1', state: 'cordoned' });
  };
  dial(1 * second);
  apply(state, { type: 'submitted', at: 2 * second, build });
  for (let at = 6 * second; at <= 16 * second; at += 5 * second) {
    apply(state, { type: 'agent-down', at: at - second, agent: 'a', session: 'a-1' });
    dial(at);
    assert.equal(decide(state, at), []);
  }
  assert.equal(
    decide(state, 18 * second).map(({ type }) => type),
    ['abandoned'],
  );
});

test.run();

/** Agents that get no work although they are there: by order, or because too much failed on them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { viewOf } from '../../../coordinator/farm/agent-state.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, sampleAgent } from '../../support/farm-fixtures.ts';

function stateOf(bench: FarmBench, name: string): string {
  const { state, reason } = viewOf(bench.state.agents.get(name)!, defaultTimers, bench.at);
  return reason === undefined ? state : `${state}: ${reason}`;
}

function hear(bench: FarmBench, ...names: string[]): () => void {
  return () => names.forEach((agent) => bench.tell({ type: 'heard', agent, session: `${agent}-1` }));
}

/** Builds that fail on `a` for reasons of its host; each then goes to `b`. */
function failOn(bench: FarmBench, ids: readonly string[]): void {
  for (const id of ids) {
    bench.submit(id, single);
    assert.is(bench.take('offer')[0]?.agent, 'a', id);
    bench.tell({ type: 'accepted', attempt: attempt(id, amd64) });
    bench.fail(attempt(id, amd64), 'infrastructure');
    assert.is(bench.take('offer')[0]?.agent, 'b');
    bench.deliver(attempt(id, amd64, 2));
    bench.take();
  }
}

/** Where both are free, `a` is asked first. */
function benchOfTwo(): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 4 }));
  bench.connect(sampleAgent('b', { slots: 4 }));
  return bench;
}

test('a drained agent finishes what it has and gets nothing new until it is resumed', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 2 }));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.tell({ type: 'drained', agent: 'a', by: 'ops@host' });
  assert.is(stateOf(bench, 'a'), 'draining: drained by ops@host');
  bench.submit('two', { ...single, waitAgent: 60_000 });
  assert.is(bench.take('cancel').length, 0);
  bench.deliver(attempt('one', amd64));
  assert.is(bench.take('publish').length, 1, 'its result counts');
  // Its connection is another one by now; the order stands.
  bench.connect(sampleAgent('a', { slots: 2, session: 'a-2' }));
  assert.is(bench.take('offer').length, 0);
  bench.tell({ type: 'undrained', agent: 'a' });
  assert.is(bench.take('offer')[0]?.attempt.build, 'two');
  assert.is(stateOf(bench, 'a'), 'ready');
});

test('a drained agent is no hope for a build that waits for one', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.tell({ type: 'drained', agent: 'a', by: 'ops@host' });
  bench.take();
  bench.submit('one', single);
  const reasons = bench.take('notify').map(({ event }) => event.reason);
  assert.is(reasons.at(-1), 'no agent for linux/amd64 takes work, see archfarm agents');
  bench.pass(16_000, hear(bench, 'a'));
  const [finished] = bench.take('finished');
  assert.is(finished?.result.error?.code, 'no-agent');
  assert.match(finished?.result.error?.message ?? '', /a \(linux\/amd64, draining, drained by ops@host\)/);
});

test('three failures of the host in a row, and an agent gets no work for a while; the pause doubles', () => {
  const bench = benchOfTwo();
  failWithoutMemory(bench, ['one', 'two', 'three']);
  assert.match(stateOf(bench, 'a'), /^cordoned: 3 attempts in a row failed here, .*the last one: it broke$/);
  bench.submit('four', single);
  assert.is(bench.take('offer')[0]?.agent, 'b');
  bench.deliver(attempt('four', amd64));
  bench.take();
  bench.pass(defaultTimers.cordon, hear(bench, 'a', 'b'));
  assert.is(stateOf(bench, 'a'), 'ready');
  failWithoutMemory(bench, ['five']);
  bench.pass(defaultTimers.cordon, hear(bench, 'a', 'b'));
  assert.match(stateOf(bench, 'a'), /^cordoned: 4 attempts/);
  bench.tell({ type: 'undrained', agent: 'a' });
  assert.is(stateOf(bench, 'a'), 'ready', 'somebody says that it is well again');
});

/** What b comes to know must not draw work away from a. */
function failWithoutMemory(bench: FarmBench, ids: readonly string[]): void {
  for (const id of ids) {
    bench.state.acquaintance.clear();
    failOn(bench, [id]);
  }
}

test('what fails at the same moment says no more than one, and then an agent is tried with one build', () => {
  const bench = new FarmBench();
  const ids = ['one', 'two', 'three', 'four'];
  const patient = { ...single, waitAgent: 3_600_000 };
  bench.connect(sampleAgent('a', { slots: 4 }));
  for (const id of ids) {
    bench.submit(id, patient);
    bench.tell({ type: 'accepted', attempt: attempt(id, amd64) });
  }
  bench.take();
  for (const id of ids) bench.fail(attempt(id, amd64), 'infrastructure');
  bench.pass(defaultTimers.cordon - 1000, hear(bench, 'a'));
  assert.equal(bench.take('offer'), []);
  bench.pass(1000, hear(bench, 'a'));
  const [trial, ...others] = bench.take('offer');
  assert.is(others.length, 0);
  bench.deliver(trial!.attempt);
  assert.is(bench.take('offer').length, 3, 'it is well again');
});

test('an image, a build error or the fault of somebody else breaks the row', () => {
  const bench = benchOfTwo();
  failWithoutMemory(bench, ['one', 'two']);
  bench.state.acquaintance.clear();
  bench.submit('three', single);
  bench.tell({ type: 'accepted', attempt: attempt('three', amd64) });
  bench.fail(attempt('three', amd64), 'build');
  bench.take();
  failWithoutMemory(bench, ['four', 'five']);
  assert.is(stateOf(bench, 'a'), 'ready');
  bench.state.acquaintance.clear();
  bench.submit('six', single);
  bench.tell({ type: 'accepted', attempt: attempt('six', amd64) });
  const error = { code: 'registry-unreachable', message: 'the registry is away' } as const;
  const failed = { outcome: 'failed', kind: 'infrastructure', error } as const;
  bench.tell({ type: 'failed', attempt: attempt('six', amd64), ...failed });
  assert.is(stateOf(bench, 'a'), 'ready');
});

test('of an agent that stays away nothing is kept, but for an order and a long row of failures', () => {
  const bench = benchOfTwo();
  bench.connect(sampleAgent('drained'));
  bench.tell({ type: 'drained', agent: 'drained', by: 'ops@host' });
  failWithoutMemory(bench, ['one', 'two', 'three']);
  const known = (): string[] => [...bench.state.standings.keys()];
  for (const agent of ['a', 'b', 'drained']) bench.tell({ type: 'agent-down', agent, session: `${agent}-1` });
  bench.pass(defaultTimers.cutOff);
  assert.equal(known(), ['a', 'b', 'drained']);
  assert.equal([...bench.state.acquaintance.keys()], ['a', 'b']);
  bench.pass(defaultTimers.tick);
  assert.equal(known(), ['a', 'drained']);
  assert.equal([...bench.state.acquaintance.keys()], []);
  bench.pass(defaultTimers.cordonMax);
  assert.equal(known(), ['drained']);
});

test('what is known of agents after a start waits for them as long as they may be cut off', () => {
  const bench = new FarmBench();
  bench.submit('one', single);
  bench.tell({ type: 'offered', attempt: attempt('one', amd64), agent: 'a', session: 'a-1', native: true });
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(defaultTimers.cutOff - defaultTimers.grace - 1000);
  assert.equal([...bench.state.standings.keys()], ['a']);
  bench.pass(defaultTimers.tick);
  assert.equal([...bench.state.standings.keys()], []);
});

test('an attempt without a sign for fifteen minutes has failed, and is not tried again [B11]', () => {
  const bench = benchOfTwo();
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(defaultTimers.stall - 1000, hear(bench, 'a', 'b'));
  bench.tell({ type: 'alive', attempt: attempt('one', amd64) });
  bench.pass(defaultTimers.stall, hear(bench, 'a', 'b'));
  assert.is(bench.take('finished').length, 0);
  bench.pass(2000, hear(bench, 'a', 'b'));
  const [finished] = bench.take('finished');
  assert.is(finished?.result.error?.code, 'stalled');
  assert.match(finished?.result.error?.message ?? '', /linux\/amd64 gave no sign for 15 minutes on agent a$/);
  assert.is(finished?.result.platforms[0]?.attempts.length, 1);
});

test('an agent that too much failed on is no hope for a build that waits for one, and the reason says so', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  for (const id of ['one', 'two', 'three', 'four', 'five']) {
    // As long as the longest pause so far.
    bench.pass(2 * defaultTimers.cordon, hear(bench, 'a'));
    bench.submit(id, single);
    bench.tell({ type: 'accepted', attempt: attempt(id, amd64) });
    bench.fail(attempt(id, amd64), 'infrastructure');
    const error = { code: 'cancelled', message: 'enough' } as const;
    bench.tell({ type: 'cancelled', build: id, error });
  }
  assert.match(stateOf(bench, 'a'), /^cordoned: 5 attempts/);
  bench.take();
  bench.submit('late', single);
  const reasons = bench.take('notify').map(({ event }) => event.reason);
  assert.is(reasons.at(-1), 'no agent for linux/amd64 takes work, see archfarm agents');
  bench.pass(14_000, hear(bench, 'a'));
  assert.equal(bench.take('finished'), []);
  bench.pass(2000, hear(bench, 'a'));
  const [finished] = bench.take('finished');
  assert.is(finished?.result.error?.code, 'no-agent');
  assert.match(finished?.result.error?.message ?? '', /a \(linux\/amd64, cordoned, 5 attempts in a row/);
});

test.run();

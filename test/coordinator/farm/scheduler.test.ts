import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultTimers } from '../../../shared/timers.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { decide } from '../../../coordinator/farm/scheduler.ts';
import { apply } from '../../../coordinator/farm/state.ts';
import { attempt, FarmBench, published, single } from '../../support/farm-bench.ts';
import { amd64, arm64, pushedBy, sampleAgent } from '../../support/farm-fixtures.ts';

test('an infrastructure error goes to another agent at once, and fails the task at the third try', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b'));
  bench.submit('one', single);
  assert.is(bench.take('offer')[0]?.agent, 'a');
  bench.fail(attempt('one', amd64, 1), 'infrastructure');
  assert.is(bench.take('offer')[0]?.agent, 'b', 'not again where it failed');
  bench.fail(attempt('one', amd64, 2), 'infrastructure');
  assert.is(bench.take('offer').length, 0, 'both have just failed');
  const beat = (): void => {
    for (const name of ['a', 'b']) bench.tell({ type: 'heard', agent: name, session: `${name}-1` });
  };
  bench.pass(defaultTimers.retry, beat);
  assert.is(bench.take('offer')[0]?.attempt.number, 3);
  bench.fail(attempt('one', amd64, 3), 'infrastructure');
  const [finished] = bench.take('finished');
  assert.is(finished?.result.error?.code, 'engine-down');
  assert.is(finished?.result.platforms[0]?.attempts.length, 3);
});

test('an offer that is not accepted goes elsewhere and is no try', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.take();
  bench.connect(sampleAgent('b'));
  bench.pass(defaultTimers.accept + 1000);
  const [offer] = bench.take('offer');
  assert.is(offer?.agent, 'b');
  bench.deliver(offer!.attempt);
  bench.tell({ type: 'published', build: 'one', descriptor: published, tags: [], duration: 1 });
  assert.equal(bench.take('finished')[0]?.result.platforms[0]?.attempts, [{ agent: 'b', outcome: 'pushed' }]);
});

test('a silent agent loses its work after 45 s, and the first verified result counts whoever sends it', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(defaultTimers.lost);
  bench.connect(sampleAgent('b'));
  assert.is(bench.take('offer').length, 1, 'only the first');
  bench.pass(1000);
  assert.is(bench.take('offer')[0]?.agent, 'b');
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64, 2) });
  bench.connect(sampleAgent('a'), [attempt('one', amd64)]);
  assert.is(bench.take('cancel').length, 0, 'it may go on');
  bench.deliver(attempt('one', amd64, 1));
  const effects = bench.take('cancel');
  assert.equal(
    effects.map(({ agent }) => agent),
    ['b'],
  );
  bench.tell({
    type: 'reported',
    attempt: attempt('one', amd64, 2),
    image: pushedBy(attempt('one', amd64, 2)),
  });
  assert.is(bench.take('verify').length, 0, 'the second result is of no use');
  bench.tell({ type: 'published', build: 'one', descriptor: published, tags: [], duration: 1 });
  assert.equal(
    bench.take('finished')[0]?.result.platforms[0]?.attempts.map(({ agent, outcome }) => [agent, outcome]),
    [
      ['a', 'pushed'],
      ['b', 'superseded'],
    ],
  );
});

test('an agent that comes back while nobody else took its work goes on with it', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(defaultTimers.lost - 5000);
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
  bench.pass(10_000);
  bench.take();
  bench.connect(sampleAgent('a'), [attempt('one', amd64)]);
  const effects = bench.take('notify');
  assert.equal(
    effects.map(({ event }) => [event.state, event.attempt]),
    [['running', 1]],
  );
});

test('a restarted agent that does not list its work loses it at once', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.take();
  bench.connect(sampleAgent('a', { session: 'a-2' }));
  const [offer] = bench.take('offer');
  assert.is(offer?.attempt.number, 2);
  assert.is(offer?.session, 'a-2');
});

test('nothing is lost by silence while the coordinator itself was away', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.connect(sampleAgent('b'));
  bench.take();
  bench.at += 60_000;
  bench.tell({ type: 'tick' });
  bench.pass(defaultTimers.grace);
  assert.is(bench.take('offer').length, 0);
  bench.connect(sampleAgent('b'));
  bench.pass(1000);
  assert.is(bench.take('offer')[0]?.agent, 'b');
});

test('a task without an able agent waits its time and then says which agents there are', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { platforms: [{ platform: arm64, native: false }] }));
  bench.submit('one', { platforms: [arm64], waitAgent: 3000 });
  bench.pass(3000);
  assert.is(bench.take('finished').length, 0);
  bench.pass(1000);
  const [finished] = bench.take('finished');
  assert.is(finished?.result.error?.code, 'no-agent');
  assert.match(finished?.result.error?.message ?? '', 'a (linux/arm64/v8 emulated)');
  assert.match(finished?.result.error?.hint ?? '', '--allow-emulation');
});

test('a busy native agent is waited for; without one an emulating agent is used where it is allowed', () => {
  const bench = new FarmBench();
  const emulating = { platforms: [{ platform: arm64, native: false }] };
  bench.connect(sampleAgent('native', { platforms: [{ platform: arm64, native: true }] }));
  bench.connect(sampleAgent('emulating', emulating));
  bench.submit('one', { platforms: [arm64], allowEmulation: true });
  bench.submit('two', { platforms: [arm64], allowEmulation: true });
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['native'],
  );
  bench.tell({ type: 'beat', agent: 'native', session: 'native-1', state: 'draining' });
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['emulating'],
  );
});

test('work spreads by load and weight, and no agent gets more than its slots', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('small', { slots: 2 }));
  bench.connect(sampleAgent('strong', { slots: 2, weight: 3 }));
  for (const id of ['one', 'two', 'three', 'four', 'five']) bench.submit(id, single);
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['small', 'strong', 'strong', 'small'],
  );
});

test('a platform has its time limit to itself, and what it waits for agents does not count', () => {
  const bench = new FarmBench();
  const both = { platforms: [amd64, arm64] };
  bench.connect(sampleAgent('a'));
  bench.submit('busy', single);
  bench.tell({ type: 'accepted', attempt: attempt('busy', amd64) });
  bench.submit('one', { ...both, timeout: 60_000, waitAgent: 10 * 60_000 });
  bench.pass(5 * 60_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  assert.is(bench.state.builds.get('one')?.status, 'queued');
  bench.connect(sampleAgent('b', { platforms: [{ platform: arm64, native: true }] }));
  bench.tell({ type: 'accepted', attempt: attempt('one', arm64) });
  bench.pass(30_000, () => {
    for (const name of ['a', 'b']) bench.tell({ type: 'heard', agent: name, session: `${name}-1` });
  });
  bench.deliver(attempt('busy', amd64));
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.take();
  bench.pass(31_000, () => {
    for (const name of ['a', 'b']) bench.tell({ type: 'heard', agent: name, session: `${name}-1` });
  });
  assert.equal(
    [...(bench.state.builds.get('one')?.tasks.values() ?? [])].map(({ status, error }) => [
      status,
      error?.code,
    ]),
    [
      ['running', undefined],
      ['failed', 'timeout'],
    ],
  );
  assert.is(bench.take('settle')[0]?.agent, 'b', 'which ends it there');
  bench.pass(31_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  const [finished, ...more] = bench.take('finished');
  assert.equal(
    [finished?.result.status, finished?.result.error?.code, more.length],
    ['failed', 'timeout', 0],
  );
  assert.match(
    finished?.result.error?.message ?? '',
    /^the build for linux\/arm64\/v8 took longer than 60 s on agent b$/,
  );
});

test('the time limit adds up over attempts, and outlasts a restart of the coordinator', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', { ...single, timeout: 60_000, waitAgent: 10 * 60_000 });
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(40_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  bench.fail(attempt('one', amd64), 'infrastructure');
  bench.pass(20_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64, 2) });
  bench.pass(10_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));

  // A result may have been there in time, and found nobody to take it: not before the grace is over.
  const restarted = createState({ timers: defaultTimers, startedAt: bench.at + 30_000 });
  for (const event of bench.durable) apply(restarted, event);
  const back = bench.at + 31_000;
  const agent = sampleAgent('a');
  apply(restarted, { type: 'agent-up', at: back, agent, attempts: [attempt('one', amd64, 2)] });
  const late = bench.at + 30_000 + defaultTimers.grace;
  for (let at = back; at <= late; at += defaultTimers.tick) {
    apply(restarted, { type: 'heard', at, agent: 'a', session: 'a-1' });
    assert.equal(decide(restarted, at), []);
  }
  assert.equal(
    decide(restarted, late + 1).map(
      (event) => event.type === 'failed' && [event.attempt.number, event.error.code],
    ),
    [[2, 'timeout']],
  );
  bench.pass(11_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  assert.is(
    bench.take('finished')[0]?.result.error?.code,
    'timeout',
    '50 s and 11 s, without the 20 between',
  );
});

test('builds of one tag publish one after the other, and an older one never over a newer one', () => {
  const bench = new FarmBench();
  const tags = ['localhost:5000/app:1', 'localhost:5000/app:latest'];
  bench.connect(sampleAgent('a', { slots: 9 }));
  bench.submit('old', { ...single, tags: [tags[1]!] });
  bench.submit('both', { ...single, tags });
  bench.submit('new', { ...single, tags: [tags[1]!] });
  bench.deliver(attempt('new', amd64));
  assert.equal(
    bench.take('publish').map(({ build }) => build),
    ['new'],
  );
  bench.deliver(attempt('both', amd64));
  bench.deliver(attempt('old', amd64));
  assert.is(bench.take('publish').length, 0, 'one writer at a time');
  bench.tell({ type: 'published', build: 'new', descriptor: published, tags: [tags[1]!], duration: 1 });
  assert.is(bench.state.builds.get('old'), undefined);
  assert.equal(
    bench.take('publish').map(({ build, tags: moved }) => [build, moved]),
    [['both', [tags[0]]]],
    'the tag that nobody overtook',
  );
});

test('after a restart a task that failed on the first agent to be back waits for the others to come back', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.take();
  const state = createState({ timers: defaultTimers, startedAt: bench.at });
  for (const event of bench.durable) apply(state, event);
  const started = bench.at;
  const at = started + 1000;
  apply(state, { type: 'agent-up', at, agent: sampleAgent('a'), attempts: [attempt('one', amd64)] });
  const error = { code: 'engine-down', message: 'it broke' } as const;
  const failed = { outcome: 'failed', kind: 'infrastructure', error } as const;
  apply(state, { type: 'failed', at, attempt: attempt('one', amd64), ...failed });
  apply(state, { type: 'beat', at, agent: 'a', session: 'a-1', state: 'cordoned' });
  assert.equal(decide(state, started + defaultTimers.grace), []);
  assert.equal(
    decide(state, started + defaultTimers.grace + 1).map(({ type }) => type),
    ['abandoned'],
  );
});

test('a restart cuts no wait for an agent short: who was there before is not known any more', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('long', single);
  bench.tell({ type: 'accepted', attempt: attempt('long', amd64) });
  const waitAgent = 1_800_000;
  bench.submit('one', { ...single, waitAgent });
  // It waits for a busy agent for longer than it would for one that is away.
  const startedAt = bench.at + 2 * waitAgent;
  const state = createState({ timers: defaultTimers, startedAt });
  for (const event of bench.durable) apply(state, event);
  const abandoned = (at: number): string[] =>
    decide(state, at).flatMap((event) => (event.type === 'abandoned' ? [event.build] : []));
  assert.equal(abandoned(startedAt + waitAgent), []);
  assert.equal(abandoned(startedAt + waitAgent + 1), ['one']);
});

test('a wait for an agent counts from when the last one went, however long ago that was', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('long', single);
  bench.tell({ type: 'accepted', attempt: attempt('long', amd64) });
  const waitAgent = 2 * defaultTimers.cutOff;
  bench.submit('one', { ...single, tags: ['registry.lab/x/other:1'], waitAgent });
  // Its agent is busy until it goes away.
  const busy = 600_000;
  bench.pass(busy, () => {
    bench.tell({ type: 'heard', agent: 'a', session: 'a-1' });
    bench.tell({ type: 'alive', attempt: attempt('long', amd64) });
  });
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
  const ended = (): string[] => bench.take('finished').map(({ build }) => build);
  bench.pass(waitAgent - 1000);
  assert.not.ok(ended().includes('one'));
  bench.pass(2000);
  assert.ok(ended().includes('one'));
  assert.is(bench.state.agents.size, 0, 'nobody waits for it any more');
});

test('spellings of one tag have one writer', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 4 }));
  bench.submit('old', { ...single, tags: ['registry.lab/x/y:1'] });
  bench.submit('new', { ...single, tags: ['Registry.lab:443/x/y:1'] });
  bench.submit('other', { ...single, tags: ['registry.lab:5000/x/y:1'] });
  bench.deliver(attempt('new', amd64));
  bench.deliver(attempt('old', amd64));
  bench.deliver(attempt('other', amd64));
  const [publishing, other] = bench.take('publish');
  assert.equal([publishing?.build, other?.build], ['new', 'other'], 'one writer at a time');
  const { tags = [] } = publishing ?? {};
  assert.equal(tags, ['Registry.lab:443/x/y:1'], 'as it was asked for');
  bench.tell({ type: 'published', build: 'new', descriptor: published, tags, duration: 1 });
  assert.is(bench.state.builds.get('old'), undefined);
  assert.is(bench.take('publish').length, 0, 'the older one is superseded');
});

test.run();

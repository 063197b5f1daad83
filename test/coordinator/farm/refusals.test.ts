/** Agents that are there and ready by their own word, but do not take what they are offered. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { viewOf } from '../../../coordinator/farm/agent-state.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, sampleAgent } from '../../support/farm-fixtures.ts';

const { accept, retry, retryMax } = defaultTimers;
const hour = 3_600_000;

function decline(bench: FarmBench, id: string, number = 1): void {
  const error = { code: 'agent-lost', message: 'declined: all slots are busy' } as const;
  const declined = { outcome: 'declined', kind: 'infrastructure', error } as const;
  bench.tell({ type: 'failed', attempt: attempt(id, amd64, number), ...declined });
}

function reasonOf(bench: FarmBench, name: string): string | undefined {
  return viewOf(bench.state.agents.get(name)!, defaultTimers, bench.at).reason;
}

function hear(bench: FarmBench, ...names: string[]): () => void {
  return () => names.forEach((agent) => bench.tell({ type: 'heard', agent, session: `${agent}-1` }));
}

function offered(bench: FarmBench): string[] {
  return bench.take('offer').map(({ attempt: { build }, agent }) => `${build} to ${agent}`);
}

/** Each is offered to `a` first, which does not take it, and ends on `b`. */
function refuse(bench: FarmBench, ids: readonly string[], how: (id: string) => void): void {
  for (const id of ids) {
    // What b comes to know must not draw work away from a.
    bench.state.acquaintance.clear();
    bench.submit(id, single);
    assert.equal(offered(bench), [`${id} to a`]);
    how(id);
    assert.equal(offered(bench), [`${id} to b`]);
    bench.deliver(attempt(id, amd64, 2));
    bench.take();
  }
}

function benchOfTwo(): FarmBench {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 4 }));
  bench.connect(sampleAgent('b', { slots: 4 }));
  return bench;
}

const ways: Readonly<Record<string, (bench: FarmBench) => (id: string) => void>> = {
  declines: (bench) => (id) => decline(bench, id),
  ignores: (bench) => () => bench.pass(accept + 1000, hear(bench, 'a', 'b')),
};

for (const [way, how] of Object.entries(ways)) {
  test(`an agent that ${way} three offers in a row is asked no more for a while [B11]`, () => {
    const bench = benchOfTwo();
    refuse(bench, ['one', 'two', 'three'], how(bench));
    bench.state.acquaintance.clear();
    assert.match(reasonOf(bench, 'a') ?? '', /^took none of 3 offers in a row, gets another in \d+ s$/);
    bench.submit('four', single);
    assert.equal(offered(bench), ['four to b']);
    bench.deliver(attempt('four', amd64));
    bench.take();
    bench.pass(retry, hear(bench, 'a', 'b'));
    bench.state.acquaintance.clear();
    assert.is(reasonOf(bench, 'a'), undefined);
    bench.submit('five', single);
    assert.equal(offered(bench), ['five to a']);
    bench.deliver(attempt('five', amd64));
    refuse(bench, ['six', 'seven'], how(bench));
    assert.is(reasonOf(bench, 'a'), undefined, 'what it took in between begins a new row');
  });
}

test('somebody who resumes it ends the pause', () => {
  const bench = benchOfTwo();
  refuse(bench, ['one', 'two', 'three'], (id) => decline(bench, id));
  bench.tell({ type: 'undrained', agent: 'a' });
  assert.is(reasonOf(bench, 'a'), undefined);
});

test('a decline that comes after the same attempt was taken changes nothing', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.take();
  decline(bench, 'one');
  bench.pass(1000);
  assert.equal(bench.take(), []);
  assert.is(bench.state.agents.get('a')?.held.size, 1, 'its slot is in use');
});

test('an agent that declines for ever is asked ever more rarely, and its builds wait', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 100 }));
  const ids = Array.from({ length: 50 }, (_, index) => `b${index}`);
  for (const id of ids) bench.submit(id, single);
  const times: number[] = [];
  for (const end = bench.at + hour; bench.at < end;) {
    for (const { attempt: id } of bench.take('offer')) {
      times.push(bench.at);
      decline(bench, id.build, id.number);
    }
    bench.pass(1000, hear(bench, 'a'));
  }
  const rounds = [...new Set(times)];
  const pauses = rounds.slice(1).map((time, index) => time - (rounds[index] ?? 0));
  assert.ok(times.length < ids.length + hour / retryMax + 10, `${times.length} offers in an hour`);
  assert.ok(
    pauses.slice(-3).every((pause) => pause >= retryMax),
    pauses.join(),
  );
  assert.is(bench.state.builds.size, ids.length);
});

test('a build is tried again where it failed before it waits for an agent that takes nothing', () => {
  const bench = benchOfTwo();
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.fail(attempt('one', amd64), 'infrastructure');
  bench.take();
  decline(bench, 'one', 2);
  bench.pass(retry - 1000, hear(bench, 'a', 'b'));
  assert.equal(offered(bench), [], 'both have just had it');
  bench.pass(1000, hear(bench, 'a', 'b'));
  assert.equal(offered(bench), ['one to b']);
  decline(bench, 'one', 3);
  assert.equal(offered(bench), ['one to a']);
});

test.run();

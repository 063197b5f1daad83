/** Which waiting task is given which agent. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultTimers } from '../../../shared/timers.ts';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, arm64, digestOf, sampleAgent } from '../../support/farm-fixtures.ts';

function offers(bench: FarmBench): string[] {
  return bench.take('offer').map(({ attempt: { build }, agent }) => `${build} to ${agent}`);
}

const other = { tags: ['localhost:5000/onap/other:latest'] };

function contextOf(name: string) {
  return { context: { root: digestOf(name), name, files: 1, bytes: 1 } };
}

test('only an agent with all the labels gets a build that asks for them', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { labels: { room: 'lab' } }));
  bench.submit('one', { ...single, agentLabels: { room: 'lab', disk: 'nvme' } });
  assert.equal(offers(bench), []);
  bench.connect(sampleAgent('b', { labels: { room: 'lab', disk: 'nvme' } }));
  assert.equal(offers(bench), ['one to b']);
});

test('where no agent has the labels the error names them, and what agents have', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { labels: { room: 'lab' } }));
  bench.submit('one', { ...single, agentLabels: { room: 'attic' } });
  bench.pass(16_000, () => bench.tell({ type: 'heard', agent: 'a', session: 'a-1' }));
  const error = bench.take('finished')[0]?.result.error;
  assert.is(error?.message, 'no agent for linux/amd64 with room=attic; agents: a (linux/amd64, room=lab)');
  assert.match(error?.hint ?? '', /--agent-label/);
});

test('a build of a higher priority goes first, whoever waits longer', () => {
  const bench = new FarmBench();
  for (const [id, priority] of Object.entries({ late: -1, usual: 0, urgent: 10 })) {
    bench.submit(id, { ...single, priority });
  }
  const order = ['urgent', 'usual', 'late'];
  bench.connect(sampleAgent('a'));
  for (const id of order) {
    assert.equal(offers(bench), [`${id} to a`]);
    bench.fail(attempt(id, amd64), 'build');
  }
});

test('clients take turns, however much one of them has submitted', () => {
  const bench = new FarmBench();
  for (const id of ['m1', 'm2', 'm3', 'm4']) bench.submit(id, single, 'many@host');
  for (const id of ['f1', 'f2']) bench.submit(id, single, 'few@host');
  bench.connect(sampleAgent('a', { slots: 4 }));
  assert.equal(offers(bench), ['m1 to a', 'f1 to a', 'm2 to a', 'f2 to a']);
});

test('a client that has slots already waits for those that have none', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 2 }));
  for (const id of ['m1', 'm2', 'm3']) bench.submit(id, single, 'many@host');
  bench.submit('f1', single, 'few@host');
  bench.take();
  bench.fail(attempt('m1', amd64), 'build');
  assert.equal(offers(bench), ['f1 to a']);
});

test('of free agents the one that has built the image, and has the context, is asked first', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { slots: 4 }));
  bench.connect(sampleAgent('b', { slots: 4 }));
  bench.submit('one', { ...single, ...contextOf('one') });
  bench.submit('two', { ...single, ...other, ...contextOf('two') });
  assert.equal(offers(bench), ['one to a', 'two to b']);
  bench.deliver(attempt('one', amd64));
  bench.deliver(attempt('two', amd64));
  bench.take();
  // The less loaded one would be a, were it not for what b knows.
  bench.submit('three', { ...single, ...other, ...contextOf('new') });
  bench.tell({ type: 'accepted', attempt: attempt('three', amd64) });
  bench.submit('four', { ...single, ...other, ...contextOf('new') });
  assert.equal(offers(bench), ['three to b', 'four to b']);
});

test('nobody waits for a busy agent that knows the build while a stranger is free', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', single);
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.connect(sampleAgent('b'));
  bench.take();
  bench.submit('two', single);
  assert.equal(offers(bench), ['two to b']);
});

test('an agent of two platforms gets both of a build', () => {
  const bench = new FarmBench();
  const platforms = [amd64, arm64].map((platform) => ({ platform, native: platform === amd64 }));
  bench.connect(sampleAgent('a', { slots: 2, platforms }));
  bench.submit('one', { allowEmulation: true });
  assert.equal(
    bench.take('offer').map(({ attempt: { platform }, agent }) => [agent, platform]),
    [
      ['a', amd64],
      ['a', arm64],
    ],
  );
});

/** `a` has been given one build, and is idle after it; `b` works on another one for hours. */
function besideBusy(): { bench: FarmBench; hear: () => void } {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a'));
  bench.connect(sampleAgent('b'));
  bench.submit('one', single);
  bench.submit('long', { ...single, ...other });
  assert.equal(offers(bench), ['one to a', 'long to b']);
  for (const id of ['one', 'long']) bench.tell({ type: 'accepted', attempt: attempt(id, amd64) });
  const hear = (): void => {
    for (const { facts } of bench.state.agents.values())
      bench.tell({ type: 'heard', agent: facts.name, session: facts.session });
    bench.tell({ type: 'alive', attempt: attempt('long', amd64) });
  };
  return { bench, hear };
}

test('a task goes back to its agent that was restarted, rather than wait for a busy one', () => {
  const { bench, hear } = besideBusy();
  bench.tell({ type: 'agent-down', agent: 'a', session: 'a-1' });
  bench.pass(3000, hear);
  bench.connect(sampleAgent('a', { session: 'a-2' }));
  assert.equal(offers(bench), ['one to a']);
});

test('of free agents one that has not had the task yet goes first, whatever its agent knows of it', () => {
  const { bench } = besideBusy();
  bench.connect(sampleAgent('c'));
  bench.connect(sampleAgent('a', { session: 'a-2' }));
  assert.equal(offers(bench), ['one to c']);
});

test('a busy agent is worth five minutes to a task that failed elsewhere, and no more', () => {
  const { bench, hear } = besideBusy();
  bench.fail(attempt('one', amd64), 'infrastructure');
  bench.pass(defaultTimers.retryMax - defaultTimers.tick, hear);
  assert.equal(offers(bench), []);
  bench.pass(defaultTimers.tick, hear);
  assert.equal(offers(bench), ['one to a']);
});

test.run();

/** Builds that ask for more of an engine than its agent allows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attempt, FarmBench, single } from '../../support/farm-bench.ts';
import { amd64, digestOf, sampleAgent } from '../../support/farm-fixtures.ts';

const host = { ...single, network: 'host' };

function offered(bench: FarmBench): string[] {
  return bench.take('offer').map(({ attempt: { build, number }, agent }) => `${build}/${number} to ${agent}`);
}

function failureOf(bench: FarmBench, id: string) {
  return bench.take('finished').find(({ build }) => build === id)?.result.error;
}

function refuse(bench: FarmBench, id: string, number: number, agent: string): void {
  const error = {
    code: 'policy-refused',
    message: `agent ${agent} does not allow it`,
    hint: '--allow',
  } as const;
  bench.tell({
    type: 'failed',
    attempt: attempt(id, amd64, number),
    outcome: 'failed',
    kind: 'infrastructure',
    error,
  });
}

test('goes to an agent that allows it, be that busy', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { policy: [] }));
  bench.connect(sampleAgent('b', { policy: ['network-host'] }));
  bench.submit('one', host);
  bench.submit('two', host);
  assert.equal(offered(bench), ['one/1 to b']);
  bench.deliver(attempt('one', amd64));
  assert.equal(offered(bench), ['two/1 to b']);
});

test('fails where nobody allows it, naming policy, agents and what to do, without an attempt', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { policy: [] }));
  bench.connect(sampleAgent('b', { policy: ['ssh'] }));
  bench.submit('one', { ...host, ssh: ['default'] });
  bench.pass(14_000, () =>
    ['a', 'b'].forEach((agent) => bench.tell({ type: 'heard', agent, session: `${agent}-1` })),
  );
  assert.is(failureOf(bench, 'one'), undefined);
  bench.pass(3_000);
  const error = bench.durable.find((event) => event.type === 'abandoned')?.error;
  assert.is(error?.code, 'policy-refused');
  assert.match(error?.message ?? '', /the network of its host \(--network host\), an ssh agent/);
  assert.match(error?.message ?? '', 'a refuses network-host, ssh; b refuses network-host');
  assert.match(error?.hint ?? '', 'archfarm-agent run --allow network-host,ssh on a');
  assert.not.ok(bench.durable.some(({ type }) => type === 'offered'));
});

test('an agent of a version without policies takes everything', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('old'));
  bench.submit('one', host);
  assert.equal(offered(bench), ['one/1 to old']);
});

test('a frontend that the client told of is asked only of agents that allow it', () => {
  const bench = new FarmBench();
  bench.connect(sampleAgent('a', { policy: [] }));
  bench.connect(sampleAgent('b', { policy: ['frontend=acme/'], slots: 9 }));
  bench.submit('one', { ...single, args: { BUILDKIT_SYNTAX: 'acme/front:1' } });
  const dockerfile = { root: digestOf('dockerfile'), name: 'Dockerfile', frontend: 'evil/front' };
  bench.submit('two', { ...single, perPlatform: { [amd64]: { dockerfile } } });
  bench.submit('three', { ...single });
  const several = { ...dockerfile, frontend: 'acme/front', otherFrontends: ['evil/front'] };
  bench.submit('four', { ...single, dockerfile: several });
  bench.submit('five', { ...single, dockerfile, args: { BUILDKIT_SYNTAX: 'acme/front:1' } });
  assert.equal(offered(bench), ['one/1 to b', 'three/1 to a']);
});

test('one that finds it out by itself is asked no more, loses no standing and burns no attempt', () => {
  const bench = new FarmBench();
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) bench.connect(sampleAgent(name, { policy: [] }));
  bench.submit('one', single);
  for (const [index, name] of names.slice(0, 3).entries()) {
    assert.equal(offered(bench), [`one/${index + 1} to ${name}`]);
    bench.tell({ type: 'accepted', attempt: attempt('one', amd64, index + 1) });
    refuse(bench, 'one', index + 1, name);
    assert.is(bench.state.agents.get(name)?.standing.failures.length, 0);
  }
  assert.equal(offered(bench), ['one/4 to d']);
  refuse(bench, 'one', 4, 'd');
  bench.pass(16_000, () =>
    names.forEach((agent) => bench.tell({ type: 'heard', agent, session: `${agent}-1` })),
  );
  const error = bench.durable.find((event) => event.type === 'abandoned')?.error;
  assert.is(error?.code, 'policy-refused');
  assert.is(error?.message, 'agent d does not allow it');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AttemptId } from '../../../shared/attempt.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import type { AgentFacts, DurableEvent, Effect, FarmEvent } from '../../../coordinator/farm/events.ts';
import { isDurable } from '../../../coordinator/farm/events.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { decide } from '../../../coordinator/farm/scheduler.ts';
import { apply, unfinishedWork } from '../../../coordinator/farm/state.ts';
import type { BuildSpec } from '../../../coordinator/project/spec.ts';
import {
  amd64,
  arm64,
  pushedBy,
  sampleAgent,
  sampleSpec,
  verifiedFrom,
} from '../../support/farm-fixtures.ts';

type Untimed = FarmEvent extends infer Event ? (Event extends unknown ? Omit<Event, 'at'> : never) : never;

/** A farm whose clock the test moves; `effects` are those since they were last taken. */
class Bench {
  readonly state = createState({ timers: defaultTimers, startedAt: 0 });
  readonly durable: DurableEvent[] = [];
  at = 100_000;
  #sequence = 0;
  #effects: Effect[] = [];

  constructor() {
    this.tell({ type: 'tick' });
    // Past the grace of the start, which a test of its own is about.
    this.pass(defaultTimers.grace + 1000);
    this.take();
  }

  tell(untimed: Untimed): void {
    this.#apply({ ...untimed, at: this.at });
    this.#decide();
  }

  /** Time goes by in ticks, as it does in production. */
  pass(milliseconds: number, meanwhile: () => void = () => {}): void {
    for (const end = this.at + milliseconds; this.at < end;) {
      this.at += Math.min(defaultTimers.tick, end - this.at);
      meanwhile();
      this.tell({ type: 'tick' });
    }
  }

  connect(agent: AgentFacts, attempts: readonly AttemptId[] = []): void {
    this.tell({ type: 'agent-up', agent, attempts });
  }

  submit(id: string, change: Partial<BuildSpec> = {}): void {
    this.#sequence += 1;
    const build = { id, sequence: this.#sequence, spec: sampleSpec(change), client: 'test' };
    this.tell({ type: 'submitted', build });
  }

  /** Accepts, reports and verifies. */
  deliver(attempt: AttemptId): void {
    const image = pushedBy(attempt);
    this.tell({ type: 'accepted', attempt });
    this.tell({ type: 'reported', attempt, image });
    this.tell({ type: 'verified', attempt, image: verifiedFrom(attempt, image) });
  }

  fail(attempt: AttemptId, kind: 'build' | 'infrastructure'): void {
    const error = { code: kind === 'build' ? 'build-failed' : 'engine-down', message: 'it broke' } as const;
    this.tell({ type: 'failed', attempt, outcome: 'failed', kind, error });
  }

  take<Type extends Effect['type']>(type?: Type): Extract<Effect, { type: Type }>[] {
    const taken = this.#effects;
    this.#effects = [];
    return taken.filter((effect): effect is Extract<Effect, { type: Type }> => effect.type === type);
  }

  #decide(): void {
    for (let due = decide(this.state, this.at); due.length > 0; due = decide(this.state, this.at)) {
      for (const event of due) this.#apply(event);
    }
  }

  #apply(event: FarmEvent): void {
    if (isDurable(event)) this.durable.push(event);
    this.#effects.push(...apply(this.state, event));
  }
}

const attempt = (build: string, platform: string, number = 1): AttemptId => ({ build, platform, number });
const single = { platforms: [amd64] };
const published = { mediaType: 'list', digest: 'sha256:list', size: 1 };

test('builds every platform, publishes the verified children in order and ends', () => {
  const bench = new Bench();
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
  const bench = new Bench();
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

test('an infrastructure error goes to another agent at once, and fails the task at the third try', () => {
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
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
  const bench = new Bench();
  bench.connect(sampleAgent('small', { slots: 2 }));
  bench.connect(sampleAgent('strong', { slots: 2, weight: 3 }));
  for (const id of ['one', 'two', 'three', 'four', 'five']) bench.submit(id, single);
  assert.equal(
    bench.take('offer').map(({ agent }) => agent),
    ['small', 'strong', 'strong', 'small'],
  );
});

test('cancel ends a build once, stops its agents and comes too late for a build that publishes', () => {
  const bench = new Bench();
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

test('an agent that lists an attempt of a build that is over is told to stop, and its report is settled', () => {
  const bench = new Bench();
  bench.connect(sampleAgent('a'), [attempt('gone', amd64)]);
  assert.equal(
    bench.take('cancel').map(({ agent }) => agent),
    ['a'],
  );
  bench.tell({ type: 'reported', attempt: attempt('gone', amd64), image: pushedBy(attempt('gone', amd64)) });
  assert.equal(
    bench.take('settle').map(({ agent }) => agent),
    ['a'],
  );
});

test('a build that takes longer than its time limit fails with a timeout', () => {
  const bench = new Bench();
  bench.connect(sampleAgent('a'));
  bench.submit('one', { ...single, timeout: 5000 });
  bench.tell({ type: 'accepted', attempt: attempt('one', amd64) });
  bench.pass(6000);
  const effects = bench.take('finished');
  assert.equal([effects[0]?.result.status, effects[0]?.result.error?.code], ['failed', 'timeout']);
});

test('builds of one tag publish one after the other, and an older one never over a newer one', () => {
  const bench = new Bench();
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

test('a failed verification is tried again elsewhere, and a wrong architecture is a verdict', () => {
  const bench = new Bench();
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
  const bench = new Bench();
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

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DurableEvent, Effect } from '../../../coordinator/farm/events.ts';
import { Farm } from '../../../coordinator/farm/farm.ts';
import type { EffectHandlers } from '../../../coordinator/farm/farm.ts';
import { subjectFields } from '../../../coordinator/log-fields.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import type { Ended, ListOptions } from '../../../coordinator/store/store.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { PROTOCOL_VERSION } from '../../../shared/messages.ts';
import { amd64, pushedBy, sampleAgent, sampleSpec, verifiedFrom } from '../../support/farm-fixtures.ts';
import { until } from '../../support/until.ts';

const spec = sampleSpec({ platforms: [amd64] });

/** Writes down what it is told to do, next to what the store was given. */
class Recorder implements EffectHandlers {
  readonly journal: string[];
  readonly effects: Effect[] = [];
  readonly troubles: unknown[] = [];
  constructor(journal: string[] = []) {
    this.journal = journal;
  }
  offer = (effect: Effect): void => this.#take(effect);
  cancel = (effect: Effect): void => this.#take(effect);
  verify = (effect: Effect): void => this.#take(effect);
  publish = (effect: Effect): void => this.#take(effect);
  prove = (effect: Effect): void => this.#take(effect);
  notify = (effect: Effect): void => this.#take(effect);
  settle = (effect: Effect): void => this.#take(effect);
  finished = (effect: Effect): void => this.#take(effect);
  readonly concerned: object[] = [];
  trouble: EffectHandlers['trouble'] = (thrown, about) => {
    this.troubles.push(thrown);
    this.concerned.push(subjectFields(about));
  };

  count(type: Effect['type']): number {
    return this.effects.filter((effect) => effect.type === type).length;
  }

  #take(effect: Effect): void {
    this.effects.push(effect);
    if (effect.type !== 'notify') this.journal.push(effect.type);
  }
}

class RecordingStore extends MemoryStore {
  readonly journal: string[] = [];
  appends = 0;
  full = false;

  override async append(events: readonly DurableEvent[], ended?: readonly Ended[]): Promise<void> {
    if (this.full) throw new Error('no space left on device');
    await super.append(events, ended);
    // A disk takes its time.
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.appends += 1;
    this.journal.push(...events.map(({ type }) => `stored ${type}`));
  }
}

async function startFarm(store: MemoryStore, handlers: EffectHandlers): Promise<Farm> {
  const farm = new Farm({ store, handlers, timers: defaultTimers });
  await farm.restore();
  return farm;
}

function connect(farm: Farm, slots = 1): void {
  farm.note({ type: 'agent-up', at: farm.now, agent: sampleAgent('a', { slots }), attempts: [] });
}

test('does nothing before the event that asks for it is stored, and gives the id only then', async () => {
  const store = new RecordingStore();
  const handlers = new Recorder(store.journal);
  await using farm = await startFarm(store, handlers);
  connect(farm);
  const build = await farm.submit(spec, {
    client: 'test',
    onId: (id) => store.journal.push(`prepared ${id}`),
  });
  const attempt = { build, platform: amd64, number: 1 };
  const image = pushedBy(attempt);
  await until(() => handlers.count('offer') === 1);
  assert.ok(farm.wants(attempt, 'a'));
  await farm.record({ type: 'accepted', at: farm.now, attempt });
  await farm.record({ type: 'reported', at: farm.now, attempt, image });
  const layer = { mediaType: 'layer', digest: 'sha256:layer', size: 300 };
  const blobs = [{ mediaType: 'config', digest: 'sha256:config', size: 20 }, layer, layer];
  const verified = { ...verifiedFrom(attempt, image), blobs };
  await farm.record({ type: 'verified', at: farm.now, attempt, image: verified });
  await until(() => handlers.count('publish') === 1);
  const descriptor = { mediaType: 'list', digest: 'sha256:list', size: 1 };
  await farm.record({ type: 'published', at: farm.now, build, descriptor, tags: spec.tags, duration: 1 });
  await until(() => handlers.count('finished') === 1);
  assert.equal(store.journal, [
    `prepared ${build}`,
    'stored submitted',
    'stored offered',
    'offer',
    'stored accepted',
    'stored reported',
    'settle',
    'verify',
    'stored verified',
    'stored publishing',
    'publish',
    'stored published',
    'finished',
  ]);
  const result = await farm.build(build);
  assert.is(result?.status, 'succeeded');
  assert.is(result?.platforms[0]?.imageSize, 320, 'a layer that is there twice is pulled once');
  await until(async () => (await store.load()).events.length === 0);
});

test('stores what comes at the same time together', async () => {
  const store = new RecordingStore();
  await using farm = await startFarm(store, new Recorder());
  const ids = await Promise.all(Array.from({ length: 50 }, () => farm.submit(spec, { client: 'test' })));
  assert.is(store.appends, 1);
  assert.is(new Set(ids).size, 50);
  assert.ok(ids.every((id) => /^[a-z0-9]{13}$/.test(id)));
});

test('two submissions with one key are one build, at once or later', async () => {
  const store = new RecordingStore();
  await using farm = await startFarm(store, new Recorder());
  const submit = (): Promise<string> => farm.submit(spec, { client: 'test', idempotencyKey: 'key' });
  const [first, second] = await Promise.all([submit(), submit()]);
  assert.is(first, second);
  assert.is(await submit(), first);
  assert.is((await farm.builds({ limit: 9 })).length, 1);
});

test('refuses builds while nothing can be stored, and works on when it can', async () => {
  const store = new RecordingStore();
  const handlers = new Recorder();
  await using farm = await startFarm(store, handlers);
  connect(farm);
  store.full = true;
  const failure = await farm.submit(spec, { client: 'test' }).catch((thrown: unknown) => thrown);
  assert.match(JSON.stringify(String(failure)), 'no space left');
  assert.is(handlers.count('offer') + handlers.count('notify'), 0);
  assert.equal(await farm.builds({ limit: 9 }), []);
  store.full = false;
  await farm.submit(spec, { client: 'test' });
  await until(() => handlers.count('offer') === 1);
});

/** The host stops the process while it writes, for longer than agents may be silent. */
class StoppingStore extends MemoryStore {
  stopped = 0;
  stops = false;

  override async append(events: readonly DurableEvent[], ended?: readonly Ended[]): Promise<void> {
    await super.append(events, ended);
    if (this.stops) this.stopped += 2 * defaultTimers.lost;
    this.stops = false;
  }
}

test('loses nothing because it was stopped itself, in the middle of whatever', async () => {
  const store = new StoppingStore();
  const handlers = new Recorder();
  // The grace of a start would hide it.
  const timers = { ...defaultTimers, grace: 1000 };
  let later = 0;
  await using farm = new Farm({ store, handlers, timers, now: () => Date.now() + later + store.stopped });
  await farm.restore();
  later = timers.pause;
  connect(farm, 2);
  const first = await farm.submit(spec, { client: 'test' });
  await until(() => handlers.count('offer') === 1);
  await farm.record({
    type: 'accepted',
    at: farm.now,
    attempt: { build: first, platform: amd64, number: 1 },
  });
  store.stops = true;
  await farm.submit(spec, { client: 'test' });
  // What had come meanwhile is heard after that.
  farm.note({ type: 'heard', at: farm.now, agent: 'a', session: 'a-1' });
  await until(() => handlers.count('offer') === 2);
  const losses = handlers.effects.filter((effect) => effect.type === 'notify' && effect.event.error);
  assert.equal(losses, []);
});

test('a restart does not hold failures against an agent whose successes between them are not known any more', async () => {
  const store = new MemoryStore();
  const other = sampleAgent('b', { slots: 4 });
  {
    await using farm = await startFarm(store, new Recorder());
    connect(farm, 4);
    for (const ends of ['badly', 'badly', 'well', 'badly']) {
      const build = await farm.submit(spec, { client: 'test' });
      const attempt = { build, platform: amd64, number: 1 };
      await until(() => farm.wants(attempt, 'a'));
      await farm.record({ type: 'accepted', at: farm.now, attempt });
      if (ends === 'well') {
        const image = pushedBy(attempt);
        await farm.record({ type: 'reported', at: farm.now, attempt, image });
        const verified = verifiedFrom(attempt, image);
        await farm.record({ type: 'verified', at: farm.now, attempt, image: verified });
        const { descriptor } = verified;
        await farm.record({
          type: 'published',
          at: farm.now,
          build,
          descriptor,
          tags: spec.tags,
          duration: 1,
        });
        farm.tick();
        // Of what has ended its outcome alone is kept.
        await until(async () => (await store.build(build)) !== undefined);
        continue;
      }
      const error = { code: 'engine-error', message: 'simulated' } as const;
      await farm.record({
        type: 'failed',
        at: farm.now,
        attempt,
        outcome: 'failed',
        kind: 'infrastructure',
        error,
      });
      // Whoever it goes to next keeps it open.
      farm.note({ type: 'agent-up', at: farm.now, agent: other, attempts: [] });
    }
    assert.is(farm.agents().find(({ name }) => name === 'a')?.state, 'ready');
  }
  await using farm = await startFarm(store, new Recorder());
  connect(farm, 4);
  const [agent] = await until(() => farm.agents().length > 0 && farm.agents());
  assert.is(agent?.state, 'ready', agent?.reason);
});

test('a clock that was set back while the coordinator was away holds up nothing', async () => {
  const hour = 3_600_000;
  const store = new MemoryStore();
  let [base, start] = [Date.now(), performance.now()];
  const now = (): number => Math.round(base + performance.now() - start);
  const options = { store, timers: { ...defaultTimers, tick: 10, grace: 100, lost: 50, suspect: 20 }, now };
  let build = '';
  {
    await using farm = new Farm({ ...options, handlers: new Recorder() });
    await farm.restore();
    connect(farm);
    build = await farm.submit(spec, { client: 'test' });
    const attempt = { build, platform: amd64, number: 1 };
    await until(() => farm.wants(attempt, 'a'));
    await farm.record({ type: 'accepted', at: farm.now, attempt });
  }
  [base, start] = [Date.now() - hour, performance.now()];
  await using farm = new Farm({ ...options, handlers: new Recorder() });
  await farm.restore();
  // Its agent never comes back.
  await until(async () => {
    const [task] = (await farm.build(build))?.platforms ?? [];
    return task?.attempts[0]?.outcome === 'lost';
  });
  const later = await farm.submit(spec, { client: 'test' });
  assert.ok(later > build, 'ids go on in order of submission');
});

test('after a restart takes up what was under way without telling followers twice', async () => {
  const store = new MemoryStore();
  const ids: string[] = [];
  {
    await using farm = await startFarm(store, new Recorder());
    connect(farm, 9);
    for (const tag of ['a', 'b', 'c']) {
      ids.push(await farm.submit({ ...spec, tags: [`localhost:5000/${tag}:1`] }, { client: 'test' }));
    }
    const [verifying = '', publishing = ''] = ids;
    for (const build of [verifying, publishing]) {
      const attempt = { build, platform: amd64, number: 1 };
      await until(() => farm.wants(attempt, 'a'));
      const image = pushedBy(attempt);
      await farm.record({ type: 'reported', at: farm.now, attempt, image });
      if (build === publishing) {
        await farm.record({ type: 'verified', at: farm.now, attempt, image: verifiedFrom(attempt, image) });
      }
    }
    await until(async () => (await store.load()).events.some(({ type }) => type === 'publishing'));
  }
  const handlers = new Recorder();
  await using farm = await startFarm(store, handlers);
  assert.equal(handlers.journal, ['verify', 'publish']);
  assert.is(handlers.count('notify'), 0);
  assert.equal(
    (await farm.builds({ limit: 9 })).map(({ build }) => build),
    [...ids].toSorted().toReversed(),
  );
  const later = await farm.submit(spec, { client: 'test' });
  const submissions = (await store.load()).events.flatMap((event) =>
    event.type === 'submitted' ? [event.build] : [],
  );
  assert.equal(
    submissions.map(({ sequence }) => sequence),
    [1, 2, 3, 4],
  );
  assert.is(submissions.at(-1)?.id, later);
});

test('archives a build only after its last frame is written', async () => {
  const store = new MemoryStore();
  const handlers = new Recorder();
  let broken = true;
  handlers.finished = () => {
    if (broken) throw new Error('no space left on device');
  };
  await using farm = await startFarm(store, handlers);
  const build = await farm.submit(spec, { client: 'test' });
  const error = { code: 'cancelled', message: 'by a user' } as const;
  await farm.record({ type: 'cancelled', at: farm.now, build, error });
  await until(() => handlers.troubles.length > 0);
  assert.equal(handlers.concerned[0], { build });
  assert.is((await farm.build(build))?.status, 'cancelled');
  assert.is(await store.build(build), undefined);
  broken = false;
  farm.tick();
  await until(async () => (await store.build(build)) !== undefined);
});

test('archives a build along with what is stored next', async () => {
  const store = new MemoryStore();
  const stored: string[] = [];
  const append = store.append.bind(store);
  store.append = (events, ended) => {
    stored.push(
      [...events.map(({ type }) => type), ...(ended ?? []).map(({ result }) => result.status)].join(' and '),
    );
    return append(events, ended);
  };
  await using farm = await startFarm(store, new Recorder());
  const build = await farm.submit(spec, { client: 'test' });
  const error = { code: 'cancelled', message: 'by a user' } as const;
  await farm.record({ type: 'cancelled', at: farm.now, build, error });
  const other = await farm.submit(spec, { client: 'test' });
  await farm.record({ type: 'cancelled', at: farm.now, build: other, error });
  await until(async () => (await store.build(other)) !== undefined);
  assert.equal(stored, ['submitted', 'cancelled', 'submitted and cancelled', 'cancelled', 'cancelled']);
});

test('shows agents as they are', async () => {
  await using farm = await startFarm(new MemoryStore(), new Recorder());
  connect(farm);
  farm.note({
    type: 'beat',
    at: farm.now,
    agent: 'a',
    session: 'a-1',
    state: 'cordoned',
    reason: 'engine down',
  });
  const [agent] = await until(() => farm.agents()[0]?.state === 'cordoned' && farm.agents());
  const { since = Infinity, ...rest } = agent ?? {};
  assert.ok(since <= farm.now);
  assert.equal(rest, {
    name: 'a',
    platforms: [{ platform: amd64, native: true }],
    slots: 1,
    busy: 0,
    state: 'cordoned',
    reason: 'engine down',
    labels: {},
    version: '0.1.0',
    protocol: PROTOCOL_VERSION,
    policy: undefined,
    contexts: undefined,
    engine: undefined,
    attempts: [],
    disks: undefined,
    usage: undefined,
  });
});

test('a build counts as submitted from the moment that it has its number', async () => {
  const store = new RecordingStore();
  await using farm = await startFarm(store, new Recorder());
  const submitting = farm.submit(spec, { client: 'test' });
  const [early] = farm.submitted();
  assert.not(farm.isOpen(early?.id ?? ''), 'it is not stored');
  assert.is(await submitting, early?.id);
  assert.is(farm.submitted().length, 1);
  const keyed = farm.submit(spec, { client: 'test', idempotencyKey: 'key' });
  assert.is(await farm.submittedWith('key'), await keyed);
});

test('an agent has the builds that it was offered something of, also after a restart, until they end', async () => {
  const store = new MemoryStore();
  const handlers = new Recorder();
  const builds: string[] = [];
  {
    await using farm = await startFarm(store, handlers);
    connect(farm, 2);
    for (let count = 0; count < 3; count++) builds.push(await farm.submit(spec, { client: 'test' }));
    await until(() => handlers.count('offer') === 2);
    assert.equal(farm.buildsOn('a'), builds.slice(0, 2));
    assert.equal(farm.buildsOn('b'), []);
  }
  await using farm = await startFarm(store, handlers);
  assert.equal(farm.buildsOn('a'), builds.slice(0, 2));
  assert.is(farm.workOf('a').length, 2);
  const [build = ''] = builds;
  const error = { code: 'cancelled', message: 'enough' } as const;
  await farm.record({ type: 'cancelled', at: farm.now, build, error });
  assert.equal(farm.buildsOn('a'), builds.slice(1, 2));
});

test('lists builds page by page and by state, whether ended or not', async () => {
  const store = new MemoryStore();
  await using farm = await startFarm(store, new Recorder());
  const submitted = Array.from({ length: 6 }, () => farm.submit(spec, { client: 'test' }));
  const ids = (await Promise.all(submitted)).toSorted().toReversed();
  const error = { code: 'cancelled', message: 'enough' } as const;
  for (const build of [ids[1]!, ids[4]!])
    await farm.record({ type: 'cancelled', at: farm.now, build, error });
  const list = async (options: ListOptions): Promise<string[]> =>
    (await farm.builds(options)).map(({ build }) => build);
  // Archived or about to be: it is the same.
  for (const archived of [0, 2]) {
    await until(async () => (await store.builds({ limit: 9 })).length >= archived);
    assert.equal(await list({ limit: 9 }), ids);
    assert.equal(await list({ limit: 3 }), ids.slice(0, 3));
    assert.equal(await list({ limit: 3, before: ids[2]! }), ids.slice(3));
    assert.equal(await list({ limit: 9, status: 'cancelled' }), [ids[1], ids[4]]);
    assert.equal(await list({ limit: 2, before: ids[1]!, status: 'queued' }), ids.slice(2, 4));
  }
});

test('whoever is told of ends and cannot take it keeps nothing from being stored', async () => {
  const store = new RecordingStore();
  const handlers = new Recorder();
  const onArchived = (): never => {
    throw new Error('told');
  };
  await using farm = new Farm({ store, handlers, timers: defaultTimers, onArchived });
  await farm.restore();
  const build = await farm.submit(spec, { client: 'test' });
  const error = { code: 'cancelled', message: 'enough' } as const;
  await farm.record({ type: 'cancelled', at: farm.now, build, error });
  // Stored together with the end of the other.
  const next = await farm.submit(spec, { client: 'test' });
  assert.ok(farm.isOpen(next));
  assert.equal(handlers.troubles.map(String), ['Error: told']);
  assert.is((await store.build(build))?.status, 'cancelled');
});

test('refuses events once it is closed', async () => {
  const farm = await startFarm(new MemoryStore(), new Recorder());
  await farm.close();
  const failure = await farm.submit(spec, { client: 'test' }).catch((thrown: unknown) => thrown);
  assert.match(String(failure instanceof Error && failure.message), 'shutting down');
});

test.run();

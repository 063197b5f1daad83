/** A farm whose publisher has a real registry, a log that may have no place, and a store that may refuse. */
import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DurableEvent } from '../../../coordinator/farm/events.ts';
import { Farm } from '../../../coordinator/farm/farm.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { Publisher, type PublisherOptions } from '../../../coordinator/server/publisher.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import type { Ended } from '../../../coordinator/store/store.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import type { AttemptId } from '../../../shared/attempt.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { amd64, digestOf, sampleAgent, sampleSpec } from '../../support/farm-fixtures.ts';
import { pullDocument, pushSample } from '../../support/sample-image.ts';
import { until } from '../../support/until.ts';

type Kind = DurableEvent['type'];

const full = new ArchfarmError('disk-full', 'no space left for builds');

/** Refuses each of these kinds once. */
class RefusingStore extends MemoryStore {
  readonly refused: Kind[] = [];
  readonly #refuses: Set<Kind>;

  constructor(refuses: readonly Kind[]) {
    super();
    this.#refuses = new Set(refuses);
  }

  override async append(events: readonly DurableEvent[], ended?: readonly Ended[]): Promise<void> {
    const refused = events.find(({ type }) => this.#refuses.delete(type));
    if (refused === undefined) return super.append(events, ended);
    this.refused.push(refused.type);
    throw full;
  }
}

interface Bench extends AsyncDisposable {
  readonly host: string;
  readonly store: RefusingStore;
  readonly warnings: readonly string[];
  readonly farm: Farm;
  /** Builds an image and has it published. */
  build(options?: BuildOptions): Promise<string>;
  /** What became of a build. */
  ended(build: string): Promise<BuildResult>;
}

interface BuildOptions {
  readonly tags?: readonly string[];
  readonly type?: 'docker' | 'auto';
  /** Of what is pushed. */
  readonly architecture?: string;
  readonly pushed?: 'docker' | 'oci';
}

async function startBench({
  refuses = [],
  onEvent = () => {},
}: { refuses?: readonly Kind[]; onEvent?: PublisherOptions['onEvent'] } = {}): Promise<Bench> {
  const registry = await startRegistry();
  const { host } = registry;
  const registries = new Registries({ configDirectory: '/nonexistent' });
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => warnings.push(line) });
  const timers = { ...defaultTimers, tick: 20 };
  const publisher = new Publisher({ registries, timers, log, onEvent, onPublished: async () => {} });
  const store = new RefusingStore(refuses);
  const offers: AttemptId[] = [];
  const farm: Farm = new Farm({
    store,
    timers,
    handlers: {
      offer: ({ attempt }) => void offers.push(attempt),
      verify: (effect) => publisher.verify(farm, effect),
      publish: (effect) => publisher.publish(farm, effect),
      finished: ({ build }) => publisher.forget(build),
      cancel() {},
      prove() {},
      notify() {},
      settle() {},
      trouble() {},
    },
  });
  await farm.restore();
  farm.note({ type: 'agent-up', at: farm.now, agent: sampleAgent('a', { slots: 9 }), attempts: [] });
  return {
    host,
    store,
    warnings,
    farm,
    async build({
      tags = [`${host}/app:latest`],
      type = 'auto',
      architecture = 'amd64',
      pushed = 'docker',
    } = {}) {
      const id = await farm.submit(sampleSpec({ platforms: [amd64], tags, type }), { client: 'c' });
      const attempt = await until(() => offers.find(({ build }) => build === id));
      await farm.record({ type: 'accepted', at: farm.now, attempt });
      const platform = { os: 'linux', architecture };
      const { reported } = await pushSample({ host, repository: 'app-amd64' }, { platform, type: pushed });
      await farm.record({ type: 'reported', at: farm.now, attempt, image: reported });
      return id;
    },
    ended: (build) => until(() => store.build(build), { timeout: 20_000, what: 'the build has ended' }),
    async [Symbol.asyncDispose]() {
      await publisher.close();
      await farm.close();
      await registries[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

test('publishes what is built although the log has no place for it', async () => {
  await using bench = await startBench({
    onEvent() {
      throw full;
    },
  });
  const tags = [`${bench.host}/app:latest`, `${bench.host}/app:1`];
  const { status, error } = await bench.ended(await bench.build({ tags }));
  assert.is(status, 'succeeded', error?.message);
  assert.match(bench.warnings.join(), 'no space left for builds');
});

test('stores what became of an image in the end, whatever could not be stored at first', async () => {
  const kinds = ['verified', 'moving', 'published', 'failed', 'publish-failed'] as const;
  await using bench = await startBench({ refuses: kinds });
  const { host } = bench;
  const good = await bench.ended(await bench.build({ tags: [`${host}/app:latest`, `${host}/app:1`] }));
  assert.is(good.status, 'succeeded', good.error?.message);
  const published = await pullDocument({ host, repository: 'app' }, 'latest');
  assert.is(published?.digest, good['containerimage.digest']);
  const wrong = await bench.ended(await bench.build({ architecture: 's390x' }));
  assert.is(wrong.error?.code, 'wrong-architecture');
  await pushSample({ host, repository: 'app' }, { platform: { os: 'linux', architecture: 's390x' } });
  const refused = await bench.ended(await bench.build());
  assert.is(refused.error?.code, 'platform-loss');
  assert.equal(bench.store.refused, kinds);
  assert.is(bench.warnings.filter((line) => line.includes('could not be stored')).length, kinds.length);
});

test('an OCI image for a Docker list is refused as soon as it is there, and built no second time', async () => {
  await using bench = await startBench();
  const build = await bench.build({ type: 'docker', pushed: 'oci' });
  const { error, platforms } = await bench.ended(build);
  assert.match(
    error?.message ?? '',
    /for linux\/amd64, is an OCI image, and a Docker manifest list holds none/,
  );
  assert.is(platforms[0]?.attempts.length, 1);
});

test('says so of an attempt whose tags it chokes on', async () => {
  await using bench = await startBench();
  const build = await bench.build({ tags: [`${bench.host}/app@${digestOf('a digest is no tag')}`] });
  const error = await until(async () => (await bench.farm.build(build))?.platforms[0]?.attempts[0]?.error, {
    timeout: 20_000,
    what: 'the attempt has ended',
  });
  assert.is(error.code, 'usage');
});

test.run();

/** A farm whose publisher has a real registry and a log that may have no place. */
import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Farm } from '../../../coordinator/farm/farm.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { Publisher, type PublisherOptions } from '../../../coordinator/server/publisher.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import type { AttemptId } from '../../../shared/attempt.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { amd64, sampleAgent, sampleSpec } from '../../support/farm-fixtures.ts';
import { pushSample } from '../../support/sample-image.ts';
import { until } from '../../support/until.ts';

const full = new ArchfarmError('disk-full', 'no space left for builds');

interface Bench extends AsyncDisposable {
  readonly host: string;
  readonly warnings: readonly string[];
  /** Builds an image, has it published, and gives what became of that. */
  build(tags: readonly string[]): Promise<BuildResult>;
}

async function bench({ onEvent }: Pick<PublisherOptions, 'onEvent'>): Promise<Bench> {
  const registry = await startRegistry();
  const { host } = registry;
  const registries = new Registries({ configDirectory: '/nonexistent' });
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => warnings.push(line) });
  const publisher = new Publisher({ registries, log, onEvent, onPublished: async () => {} });
  const store = new MemoryStore();
  const offers: AttemptId[] = [];
  const farm: Farm = new Farm({
    store,
    timers: { ...defaultTimers, tick: 20 },
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
    warnings,
    async build(tags) {
      const id = await farm.submit(sampleSpec({ platforms: [amd64], tags }), { client: 'c' });
      const attempt = await until(() => offers.find(({ build }) => build === id));
      await farm.record({ type: 'accepted', at: farm.now, attempt });
      const platform = parsePlatform(amd64);
      const { reported } = await pushSample({ host, repository: 'app-amd64' }, { platform });
      await farm.record({ type: 'reported', at: farm.now, attempt, image: reported });
      return until(() => store.build(id), { timeout: 20_000, what: 'the build has ended' });
    },
    async [Symbol.asyncDispose]() {
      await publisher.close();
      await farm.close();
      await registries[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

test('publishes what is built although the log has no place for it', async () => {
  await using farm = await bench({
    onEvent() {
      throw full;
    },
  });
  const { status, error } = await farm.build([`${farm.host}/app:latest`, `${farm.host}/app:1`]);
  assert.is(status, 'succeeded', error?.message);
  assert.match(farm.warnings.join(), 'no space left for builds');
});

test.run();

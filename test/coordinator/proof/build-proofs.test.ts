/** A build that has published and is to be proven, where nobody is there to do it. */
import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AgentView } from '../../../coordinator/farm/agent-state.ts';
import type { DurableEvent } from '../../../coordinator/farm/events.ts';
import { Farm } from '../../../coordinator/farm/farm.ts';
import { BuildProofs } from '../../../coordinator/proof/build-proofs.ts';
import { Proofs, type ProofsOptions } from '../../../coordinator/proof/proofs.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import type { Ended } from '../../../coordinator/store/store.ts';
import type { AttemptId } from '../../../shared/attempt.ts';
import { ArchfarmError, type ErrorInfo } from '../../../shared/errors.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import {
  amd64,
  digestOf,
  pushedBy,
  sampleAgent,
  sampleSpec,
  verifiedFrom,
} from '../../support/farm-fixtures.ts';
import { until } from '../../support/until.ts';

const full = new ArchfarmError('disk-full', 'no space left for builds');

/** Refuses the first `proved`. */
class RefusingStore extends MemoryStore {
  refused = 0;

  override async append(events: readonly DurableEvent[], ended?: readonly Ended[]): Promise<void> {
    if (!events.some(({ type }) => type === 'proved') || this.refused > 0) return super.append(events, ended);
    this.refused += 1;
    throw full;
  }
}

interface Outcome {
  readonly error: ErrorInfo | undefined;
  readonly refused: number;
  readonly warnings: string;
}

const proves: ProofsOptions['pool'] = {
  proves: () => false,
  prove: () => new AbortController().signal,
  stopProof() {},
  silence: () => 0,
};

interface Circumstances {
  readonly agents?: (farm: Farm) => readonly AgentView[];
  readonly append?: () => void;
  readonly pool?: Partial<ProofsOptions['pool']>;
}

/** Has a build published and proven. */
async function proven({
  agents = () => [],
  append = () => {},
  pool = {},
}: Circumstances = {}): Promise<Outcome> {
  const timers = { ...defaultTimers, tick: 20 };
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => warnings.push(line) });
  const pullAuth = async (): Promise<{ type: 'anonymous' }> => ({ type: 'anonymous' });
  const proofs = new Proofs({ agents: () => agents(farm), pool: { ...proves, ...pool }, pullAuth, timers });
  const buildProofs = new BuildProofs({ proofs, timers, log, append });
  const store = new RefusingStore();
  const offers: AttemptId[] = [];
  const published: string[] = [];
  await using farm: Farm = new Farm({
    store,
    timers,
    handlers: {
      offer: ({ attempt }) => void offers.push(attempt),
      publish: ({ build }) => void published.push(build),
      prove: (effect) => buildProofs.prove(farm, effect),
      verify() {},
      cancel() {},
      notify() {},
      settle() {},
      finished() {},
      trouble() {},
    },
  });
  await farm.restore();
  farm.note({ type: 'agent-up', at: farm.now, agent: sampleAgent('a'), attempts: [] });
  const spec = sampleSpec({ platforms: [amd64], verify: { timeout: 1000, network: false }, waitAgent: 0 });
  const build = await farm.submit(spec, { client: 'c' });
  const attempt = await until(() => offers[0]);
  const image = pushedBy(attempt);
  await farm.record({ type: 'accepted', at: farm.now, attempt });
  await farm.record({ type: 'reported', at: farm.now, attempt, image });
  await farm.record({ type: 'verified', at: farm.now, attempt, image: verifiedFrom(attempt, image) });
  await until(() => published.includes(build));
  const descriptor = {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: digestOf('list'),
    size: 1,
  };
  await farm.record({ type: 'published', at: farm.now, build, descriptor, tags: spec.tags, duration: 1 });
  try {
    const { error } = await until(() => store.build(build), { timeout: 20_000, what: 'the build has ended' });
    return { error, refused: store.refused, warnings: warnings.join() };
  } finally {
    await buildProofs.close();
  }
}

test('stores what came of a proof in the end, where it could not be stored at first', async () => {
  const { error, refused, warnings } = await proven();
  assert.is(error?.code, 'no-agent');
  assert.is(refused, 1);
  assert.match(warnings, 'no space left for builds');
});

test('a proof that cannot even be tried ends its build', async () => {
  const { error } = await proven({
    agents() {
      throw new Error('nobody knows who is there');
    },
  });
  assert.match(error?.message ?? '', 'nobody knows who is there');
});

test('an image is not to blame for a log that has no place', async () => {
  const { error, warnings } = await proven({
    agents: (farm) => farm.agents(),
    append() {
      throw full;
    },
    pool: { proves: () => true, prove: () => AbortSignal.abort() },
  });
  assert.is(error?.code, 'agent-lost');
  assert.match(warnings, 'no space left for builds');
});

test.run();

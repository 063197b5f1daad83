/** From a fault of an agent to the same work elsewhere, at real timers: its host gone, its process restarted, its engine died. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ToAgent } from '../../shared/messages.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { percentile, rounded } from './figures.ts';
import { newSeen, type ScaleAgent } from './scale-agent.ts';
import { ScaleClient } from './scale-client.ts';
import { startScaleCoordinator, type ScaleCoordinator } from './scale-coordinator.ts';
import { eventually, startCrowd } from './scale-crowd.ts';
import { FakeEngine, tagOf } from './scale-engine.ts';
import { startScaleRegistry, type ScaleRegistry } from './scale-registry.ts';

type Offer = Extract<ToAgent, { type: 'offer' }>;

/** Milliseconds after which its unit starts an agent again. */
const restartsAfter = 2_000;

const faults: Readonly<Record<string, (agent: ScaleAgent, offer: Offer) => void>> = {
  agentRestarted: (agent) => agent.restart(restartsAfter),
  engineDied: (agent, { attempt }) =>
    agent.send({
      type: 'report',
      attempt,
      lastFrame: 1,
      outcome: {
        status: 'failed',
        kind: 'infrastructure',
        error: { code: 'engine-down', message: 'the engine is gone' },
        timings: {},
        sentBytes: 0,
      },
    }),
  hostGone: (agent) => agent.freeze(),
};

/** `failures` agents of each kind fail in the middle of a build, within ten seconds: at any time between two beats. */
export async function measureFailover({ failures }: { failures: number }): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator();
  const figures: Record<string, unknown> = { failures };
  const started = performance.now();
  for (const [name, strike] of Object.entries(faults)) {
    // Nobody who is silent is given up before that.
    if (name === 'hostGone') await sleep(Math.max(0, started + defaultTimers.grace - performance.now()));
    figures[name] = await failoverTimes({ name, strike, failures }, { registry, coordinator });
  }
  return figures;
}

async function failoverTimes(
  {
    name,
    strike,
    failures,
  }: { name: string; strike: (agent: ScaleAgent, offer: Offer) => void; failures: number },
  { registry, coordinator }: { registry: ScaleRegistry; coordinator: ScaleCoordinator },
): Promise<object> {
  const engine = new FakeEngine(registry);
  const running = new Map<string, { agent: ScaleAgent; offer: Offer }>();
  const struckAt = new Map<string, number>();
  const times: number[] = [];
  const onOffer = (agent: ScaleAgent, offer: Offer): void => {
    const tag = tagOf(offer.task.image);
    engine.begin(agent, offer);
    const since = struckAt.get(tag);
    if (since === undefined) running.set(tag, { agent, offer });
    else {
      times.push(performance.now() - since);
      engine.end(agent, offer);
    }
  };
  const crowd = { coordinator: coordinator.url, seen: newSeen(), onOffer };
  using _victims = await startCrowd(failures, { ...crowd, prefix: `${name}-victim` });
  const client = new ScaleClient(coordinator.url);
  const ids = await Promise.all(
    Array.from({ length: failures }, (_, n) =>
      client.submit(`${registry.host}/bench/app:${name}${n}`, ['linux/amd64']),
    ),
  );
  await eventually(() => running.size === failures, 60_000, 'all builds run');
  using _spares = await startCrowd(failures, { ...crowd, prefix: `${name}-spare` });
  for (const [tag, { agent, offer }] of running) {
    await sleep(10_000 / failures);
    struckAt.set(tag, performance.now());
    strike(agent, offer);
  }
  const ended = await Promise.all(ids.map((id) => client.follow(id)));
  client.close();
  return {
    p50Seconds: rounded(percentile(times, 0.5) / 1000),
    maxSeconds: rounded(Math.max(...times) / 1000),
    published: ended.filter(({ status }) => status === 'succeeded').length,
  };
}

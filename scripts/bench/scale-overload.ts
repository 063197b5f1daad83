/** Ten times as many builds as may wait come at once, and nobody is there to build them yet. */
import { percentile, rounded } from './figures.ts';
import { newSeen } from './scale-agent.ts';
import { Refused, ScaleClient } from './scale-client.ts';
import { startScaleCoordinator } from './scale-coordinator.ts';
import { startCrowd } from './scale-crowd.ts';
import { FakeEngine } from './scale-engine.ts';
import { startScaleRegistry } from './scale-registry.ts';

/** Clients that ask at the same time. */
const atOnce = 20;

export async function measureOverload({ maxQueued }: { maxQueued: number }): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator(['--max-queued', String(maxQueued)]);
  const client = new ScaleClient(coordinator.url);
  const admitted: string[] = [];
  const refusals: number[] = [];
  const said = new Set<string>();
  let next = 0;
  const ask = async (): Promise<void> => {
    while (next < maxQueued * 10) {
      const tag = `o${next++}`;
      const start = performance.now();
      try {
        admitted.push(await client.submit(`${registry.host}/bench/app:${tag}`, ['linux/amd64']));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refusals.push(performance.now() - start);
        said.add(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
  const engine = new FakeEngine(registry);
  using _crowd = await startCrowd(10, {
    coordinator: coordinator.url,
    seen: newSeen(),
    slots: 4,
    onOffer(agent, offer) {
      engine.begin(agent, offer);
      engine.end(agent, offer);
    },
  });
  const ended = await Promise.all(admitted.map((build) => client.follow(build)));
  client.close();
  return {
    maxQueued,
    asked: maxQueued * 10,
    admitted: admitted.length,
    refusalP50: rounded(percentile(refusals, 0.5)),
    refusalP99: rounded(percentile(refusals, 0.99)),
    said: [...said][0] ?? '',
    published: ended.filter(({ status }) => status === 'succeeded').length,
  };
}

/** Agents that have nothing to do but to say so. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { percentile, rounded } from './figures.ts';
import { newSeen } from './scale-agent.ts';
import { ScaleClient } from './scale-client.ts';
import { startScaleCoordinator, usedBetween } from './scale-coordinator.ts';
import { startCrowd } from './scale-crowd.ts';

const listing = v.object({ agents: v.array(v.object({ state: v.string() })) });

export async function measureIdle({ agents, seconds }: { agents: number; seconds: number }): Promise<object> {
  await using coordinator = await startScaleCoordinator();
  const seen = newSeen();
  const start = performance.now();
  using _crowd = await startCrowd(agents, { coordinator: coordinator.url, seen });
  const connecting = performance.now() - start;
  seen.beats.length = 0;
  const before = await coordinator.usage();
  await sleep(seconds * 1000);
  const after = await coordinator.usage();
  const client = new ScaleClient(coordinator.url);
  const listed = v.parse(listing, await client.json('/v1/agents')).agents;
  client.close();
  return {
    agents,
    seconds,
    connectSeconds: rounded(connecting / 1000),
    residentMegabytes: Math.round(after.resident),
    ...usedBetween(before, after),
    beats: seen.beats.length,
    beatP50: rounded(percentile(seen.beats, 0.5)),
    beatP99: rounded(percentile(seen.beats, 0.99)),
    falseLosses: seen.ends.length + listed.filter(({ state }) => state !== 'ready').length,
  };
}

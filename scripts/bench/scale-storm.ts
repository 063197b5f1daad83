/** The coordinator is killed and started again: all agents dial at once, and what they run goes on. */
import { percentile, rounded } from './figures.ts';
import { newSeen, type ScaleAgent } from './scale-agent.ts';
import { ScaleClient } from './scale-client.ts';
import { startScaleCoordinator } from './scale-coordinator.ts';
import { eventually, startCrowd } from './scale-crowd.ts';
import { FakeEngine } from './scale-engine.ts';
import { startScaleRegistry } from './scale-registry.ts';
import type { ToAgent } from '../../shared/messages.ts';

/** Builds that run meanwhile. */
const builds = 200;

export async function measureStorm({ agents }: { agents: number }): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator();
  const engine = new FakeEngine(registry);
  const running: { agent: ScaleAgent; offer: Extract<ToAgent, { type: 'offer' }> }[] = [];
  const seen = newSeen();
  using crowd = await startCrowd(agents, {
    coordinator: coordinator.url,
    seen,
    onOffer(agent, offer) {
      engine.begin(agent, offer);
      running.push({ agent, offer });
    },
  });
  const client = new ScaleClient(coordinator.url);
  const ids = await Promise.all(
    Array.from({ length: builds }, (_, n) =>
      client.submit(`${registry.host}/bench/app:s${n}`, ['linux/amd64']),
    ),
  );
  await eventually(() => running.length === builds, 60_000, 'all builds run');
  seen.beats.length = 0;
  const welcomes = seen.welcomes;
  const start = performance.now();
  const away = await coordinator.kill();
  await eventually(() => seen.welcomes >= welcomes + agents, 120_000, 'all agents are back');
  const allBack = seen.welcomedAt - start;
  await eventually(() => crowd.agents.every(({ connected }) => connected), 60_000, 'all stay');
  const after = await coordinator.usage();
  for (const { agent, offer } of running) engine.end(agent, offer);
  const ended = await Promise.all(ids.map((id) => client.follow(id)));
  client.close();
  return {
    agents,
    awaySeconds: rounded(away / 1000),
    allBackSeconds: rounded(allBack / 1000),
    runningBuilds: builds,
    published: ended.filter(({ status }) => status === 'succeeded').length,
    leasesLost: ended.reduce((sum, { attempts }) => sum + attempts - 1, 0) + running.length - builds,
    logGaps: ended.reduce((sum, { gaps }) => sum + gaps, 0),
    beatP99: rounded(percentile(seen.beats, 0.99)),
    residentPeak: Math.round(after.residentPeak),
  };
}

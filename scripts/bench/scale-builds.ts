/** Builds of agents that only pretend to build: what is left is the coordinator's own work, registries included. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { percentile, rounded } from './figures.ts';
import { newSeen } from './scale-agent.ts';
import { ScaleClient, type Ended } from './scale-client.ts';
import { startScaleCoordinator, usedBetween } from './scale-coordinator.ts';
import { startCrowd } from './scale-crowd.ts';
import { FakeEngine, tagOf } from './scale-engine.ts';
import { digestOf, startScaleRegistry, type ScaleRegistry } from './scale-registry.ts';

export interface BuildsOptions {
  readonly builds: number;
  readonly workers: number;
  /** 1 or 2. */
  readonly platforms: number;
}

/** Builds in flight while it goes as fast as it can. */
const atOnce = 200;
/** A fifth of all builds comes at this rate, for the times that users see. */
const perSecond = 50;
const platformNames = ['linux/amd64', 'linux/arm64/v8'];
const listed = v.object({ manifests: v.array(v.object({ digest: v.string() })) });

export async function measureBuilds({ builds, workers, platforms }: BuildsOptions): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator();
  const engine = new FakeEngine(registry);
  const submittedAt = new Map<string, number>();
  let offers: number[] = [];
  const seen = newSeen();
  using _crowd = await startCrowd(workers, {
    coordinator: coordinator.url,
    seen,
    kinds: platforms,
    slots: 4,
    onOffer(agent, offer) {
      const at = submittedAt.get(tagOf(offer.task.image));
      if (at !== undefined) offers.push(performance.now() - at);
      engine.begin(agent, offer);
      setImmediate(() => engine.end(agent, offer));
    },
  });
  const client = new ScaleClient(coordinator.url);
  const ended = new Map<string, Ended>();
  const submits: number[] = [];
  const build = async (n: number): Promise<void> => {
    const tag = `b${n}`;
    const start = performance.now();
    submittedAt.set(tag, start);
    const id = await client.submit(`${registry.host}/bench/app:${tag}`, platformNames.slice(0, platforms));
    submits.push(performance.now() - start);
    ended.set(tag, await client.follow(id));
  };
  const before = await coordinator.usage();
  const paced = Math.floor(builds / 5);
  const steady = await atRate(paced, build);
  const times = { submits: submits.splice(0), offers };
  offers = [];
  const flatOut = await inTurns({ from: paced, to: builds }, build);
  const after = await coordinator.usage();
  client.close();
  const results = [...ended.values()];
  return {
    builds,
    workers,
    platforms,
    atSteadyRate: { perSecond: rounded(paced / steady), ...timesOf(times) },
    flatOut: { perSecond: rounded((builds - paced) / flatOut), ...timesOf({ submits, offers }) },
    requestsPerBuild: rounded(registry.requests / builds),
    ...usedBetween(before, after),
    lost: builds - results.filter(({ status }) => status === 'succeeded').length,
    wrong: [...ended].filter(([tag, end]) => !isRight(tag, end, { registry, engine })).length,
    rebuilt: results.reduce((sum, { attempts }) => sum + attempts - platforms, 0),
    logGaps: results.reduce((sum, { gaps }) => sum + gaps, 0),
    agentsLost: seen.ends.length,
    beatP99: rounded(percentile(seen.beats, 0.99)),
  };
}

function timesOf({ submits, offers }: { submits: readonly number[]; offers: readonly number[] }): object {
  return {
    submitP99: rounded(percentile(submits, 0.99)),
    offerP50: rounded(percentile(offers, 0.5)),
    offerP99: rounded(percentile(offers, 0.99)),
  };
}

/** The tag holds the list that the result names, and that names what the agents pushed for this build. */
function isRight(
  tag: string,
  { digest }: Ended,
  { registry, engine }: { registry: ScaleRegistry; engine: FakeEngine },
): boolean {
  const list = registry.manifest('bench/app', tag);
  if (list === undefined || digestOf(list.bytes) !== digest) return false;
  const children = v.parse(listed, JSON.parse(list.bytes.toString())).manifests.map((child) => child.digest);
  return JSON.stringify(children.toSorted()) === JSON.stringify(engine.pushed.get(tag)?.toSorted());
}

/** Seconds until all have ended. */
async function atRate(count: number, build: (n: number) => Promise<void>): Promise<number> {
  const start = performance.now();
  const running: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    await sleep(Math.max(0, start + (n * 1000) / perSecond - performance.now()));
    running.push(build(n));
  }
  await Promise.all(running);
  return (performance.now() - start) / 1000;
}

/** Seconds until all have ended. */
async function inTurns(
  { from, to }: { from: number; to: number },
  build: (n: number) => Promise<void>,
): Promise<number> {
  const start = performance.now();
  let next = from;
  const work = async (): Promise<void> => {
    while (next < to) await build(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return (performance.now() - start) / 1000;
}

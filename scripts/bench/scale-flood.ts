/** More output than anybody reads: 20 builds, a follower each, and one more that never reads. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits, type ToAgent } from '../../shared/messages.ts';
import { median, percentile, rounded } from './figures.ts';
import { newSeen, type ScaleAgent } from './scale-agent.ts';
import { FrameCounter, ScaleClient } from './scale-client.ts';
import { startScaleCoordinator, usedBetween, watchResident } from './scale-coordinator.ts';
import { eventually, startCrowd } from './scale-crowd.ts';
import { FakeEngine } from './scale-engine.ts';
import { startScaleRegistry } from './scale-registry.ts';

type Offer = Extract<ToAgent, { type: 'offer' }>;

const builds = 20;
/** Agents that have nothing to do with it, and whose beats must not wait. */
const bystanders = 100;
/** Bytes of output in a message: about what a batch holds. */
const output = 60_000;
const line = `${'x'.repeat(119)}\n`;
const text = line.repeat(output / line.length).trimEnd();

/** `rate`: megabytes of output a second, of all builds together. */
export async function measureFlood({ seconds, rate }: { seconds: number; rate: number }): Promise<object> {
  await using registry = await startScaleRegistry();
  await using coordinator = await startScaleCoordinator(['--log-limit', '20GiB']);
  const engine = new FakeEngine(registry);
  const acknowledged = new Map<string, number>();
  const running: { agent: ScaleAgent; offer: Offer }[] = [];
  const seen = newSeen();
  using _crowd = await startCrowd(builds + bystanders, {
    coordinator: coordinator.url,
    seen,
    onOffer(agent, offer) {
      engine.begin(agent, offer);
      running.push({ agent, offer });
    },
    onAcknowledge: ({ attempt, frame }) => void acknowledged.set(attempt, frame),
  });
  const client = new ScaleClient(coordinator.url);
  const ids = await Promise.all(
    Array.from({ length: builds }, (_, n) =>
      client.submit(`${registry.host}/bench/app:f${n}`, ['linux/amd64']),
    ),
  );
  await eventually(() => running.length === builds, 60_000, 'all builds run');
  const counters = ids.map(() => new FrameCounter());
  const followers = ids.map((id, n) => followed(client, id, counters[n]!));
  const [first = ''] = ids;
  const stuck = await client.ask('GET', `/v1/builds/${first}/events?follow=1`);
  stuck.on('error', () => {}).pause();
  const cut = untilCut(stuck);

  const stop = new AbortController();
  const samples = watchResident(coordinator.pid, stop.signal);
  const before = await coordinator.usage();
  const start = performance.now();
  const bytesEach = (rate * 1_000_000) / builds;
  const pumping = running.map(({ agent, offer }) =>
    pump(agent, {
      attempt: offer.attempt,
      perSecond: bytesEach,
      until: start + seconds * 1000,
      acknowledged,
    }),
  );
  const frames = await Promise.all(pumping);
  const flooded = (performance.now() - start) / 1000;
  const after = await coordinator.usage();
  stop.abort();
  const resident = await samples;
  for (const [n, { agent, offer }] of running.entries()) engine.end(agent, offer, (frames[n] ?? 0) + 1);
  await Promise.all(followers);

  const sent = frames.reduce((sum, last) => sum + last - 1, 0);
  const stored = await Promise.all(
    running.map(({ offer }) =>
      storedFrames(`${coordinator.data}/logs/${offer.attempt.split('/', 1)[0]}.ndjson`),
    ),
  );
  // What was sent to it before it was cut off is there to be read, and the rest comes by number.
  const late = new FrameCounter();
  stuck.on('data', (part: Buffer) => late.take(part)).resume();
  await eventually(() => stuck.closed, 30_000, 'the stuck follower has read what it was sent');
  const seenBefore = late.seq;
  const rest = new FrameCounter({ after: late.seq });
  for await (const part of await client.ask('GET', `/v1/builds/${first}/events?follow=1&after=${late.seq}`))
    rest.take(part);
  client.close();
  const tenth = Math.max(1, Math.floor(resident.length / 10));
  return {
    seconds: rounded(flooded),
    megabytesPerSecond: rounded((sent * output) / 1_000_000 / flooded),
    messages: sent,
    // Each build said a little before and after.
    lostInStorage: sent + 2 * builds - stored.reduce((sum, { messages }) => sum + messages, 0),
    outOfOrder: stored.reduce((sum, { gaps }) => sum + gaps, 0),
    followersGaps: [...counters, late, rest].reduce((sum, { gaps }) => sum + gaps, 0),
    followersFrames: counters.reduce((sum, { frames: count }) => sum + count, 0),
    stuckCutAfterSeconds: rounded(((await cut) - start) / 1000),
    stuckSawBeforeAndAfter: [seenBefore, rest.frames],
    ...usedBetween(before, after),
    // The least of either end: what is garbage goes by itself.
    residentAtFirst: Math.round(Math.min(...resident.slice(1, 1 + tenth))),
    residentMedian: Math.round(median(resident)),
    residentAtLast: Math.round(Math.min(...resident.slice(-tenth))),
    beats: seen.beats.length,
    beatP99: rounded(percentile(seen.beats, 0.99)),
    agentsLost: seen.ends.length,
  };
}

interface Pump {
  readonly attempt: string;
  /** Bytes of output. */
  readonly perSecond: number;
  /** By `performance.now()`. */
  readonly until: number;
  readonly acknowledged: ReadonlyMap<string, number>;
}

/** As fast as it may, within an agent's window. The number of the last message. */
async function pump(agent: ScaleAgent, { attempt, perSecond, until, acknowledged }: Pump): Promise<number> {
  const event = { type: 'log', time: Date.now(), step: 's', stream: 'stdout', text };
  const [head, tail] = JSON.stringify({ type: 'progress', attempt, frame: 0, events: [event] }).split(
    '"frame":0',
  );
  const window = Math.floor(limits.window / output);
  const start = performance.now();
  let frame = 1;
  for (let now = start; now < until; now = performance.now()) {
    const due = ((now - start) / 1000) * perSecond;
    while (frame * output < due && frame - (acknowledged.get(attempt) ?? 0) < window) {
      frame += 1;
      agent.sendText(`${head}"frame":${frame}${tail}`);
    }
    await sleep(5);
  }
  await eventually(
    () => acknowledged.get(attempt) === frame,
    60_000,
    `${attempt} is acknowledged to ${frame}`,
  );
  return frame;
}

async function followed(client: ScaleClient, id: string, counter: FrameCounter): Promise<void> {
  for await (const part of await client.ask('GET', `/v1/builds/${id}/events?follow=1`)) counter.take(part);
}

/** When the coordinator's end of the connection sends no more, by `performance.now()`. */
async function untilCut({ socket }: IncomingMessage): Promise<number> {
  const hex = (port = 0): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = ` ${hex(socket.remotePort)} ${hex(socket.localPort)} 01 `;
  await eventually(
    async () => !(await readFile('/proc/net/tcp', 'utf8')).includes(established),
    120_000,
    'the stuck follower is cut off',
  );
  return performance.now();
}

/** Messages of one build in its log, which must be there one after the other. */
async function storedFrames(path: string): Promise<{ messages: number; gaps: number }> {
  let messages = 0;
  let gaps = 0;
  const counter = new FrameCounter({
    see(line) {
      const frame = /"received":\{"attempt":1,"frame":(\d+),/.exec(line.toString('latin1', 0, 300))?.[1];
      if (frame === undefined) return;
      messages += 1;
      if (Number(frame) !== messages) gaps += 1;
    },
  });
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) counter.take(part);
  return { messages, gaps: gaps + counter.gaps };
}

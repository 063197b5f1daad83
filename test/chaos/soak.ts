/**
 * Four agents, two platforms, builds without pause, and every ten seconds a fault at random. The auditor has the last
 * word: every image that was published is run, as it was published and again as the tag is at the end.
 *
 *     node --import tsx test/chaos/soak.ts [MINUTES] [--seed N]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { amd64, arm64, startLab, type Lab } from '../support/chaos-lab.ts';
import { Random } from '../support/random.ts';
import { audit } from './auditor.ts';
import { gather, witness } from './evidence.ts';
import { MemorySlope } from './memory-slope.ts';
import { isWhole, randomFaults, type RandomFault } from './random-faults.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: String(Date.now() % 1_000_000) } },
});
const minutes = Number(positionals[0] ?? '10');
if (!(minutes > 0)) throw new Error(`${positionals[0]} is no number of minutes`);

const pause = 10_000;
const agents = ['a', 'b', 'c', 'd'];

/** Builds at once: more only wait for each other on a small machine. */
const width = 2;

const random = new Random(Number(values.seed));
console.log(`soak of ${minutes} minutes, seed ${values.seed}`);
await using lab = await startLab({
  emulated: true,
  agents,
  sharing: { c: 'a', d: 'b' },
  witness: true,
});
const end = Date.now() + minutes * 60_000;
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const goesOn = (): boolean => Date.now() < end && !stop.signal.aborted;

const ends = new Map<string, number>();
const injected = new Map<string, number>();
const recoveries: number[] = [];
const slopes = { coordinator: new MemorySlope(), agents: new MemorySlope() };

await Promise.all([...Array.from({ length: width }, () => buildOn(lab)), break_(lab), watchMemory(lab)]);
lab.calm();
const evidence = await gather(lab);
const violations = audit(evidence);
report();

async function buildOn(farm: Lab): Promise<void> {
  while (goesOn()) {
    const platforms = random.chance(0.7) ? [amd64, arm64] : [random.pick([amd64, arm64])];
    // A few names, so that builds meet at tags; each has its platforms, as a tag does not lose one by itself.
    const order = await farm.order(
      `soak-${platforms.length}-${platforms[0]?.slice(6, 11)}-${random.between(0, 2)}`,
      {
        platforms,
        padding: random.chance(0.3) ? random.between(1, 2_000_000) : 0,
      },
    );
    await using build = farm.start(order, ['--wait-agent', '5m']);
    const how = await build.ended().then(
      ({ result: { build: id, status, error } }) => {
        if (status === 'failed') console.log(`build ${id} failed: ${error?.code}: ${error?.message}`);
        return status;
      },
      // No result: there was no coordinator to submit it to.
      () => 'refused',
    );
    ends.set(how, (ends.get(how) ?? 0) + 1);
    await witness(farm, order);
  }
}

async function break_(farm: Lab): Promise<void> {
  let next = performance.now();
  while (goesOn()) {
    // From fault to fault, unless the farm takes longer to recover.
    next = Math.max(next + pause, performance.now());
    await sleep(next - performance.now());
    if (!goesOn()) return;
    const [name, fault] = random.pick<[string, RandomFault]>(Object.entries(randomFaults));
    injected.set(name, (injected.get(name) ?? 0) + 1);
    const from = performance.now();
    await fault({ lab: farm, agents, random, most: 8_000 });
    while (!(await isWhole(farm, agents))) await sleep(50);
    recoveries.push(performance.now() - from);
    console.log(`${name}: all agents were ready after ${Math.round(performance.now() - from)} ms`);
  }
}

async function watchMemory(farm: Lab): Promise<void> {
  while (goesOn()) {
    await sleep(5_000);
    slopes.coordinator.note(farm.farm.coordinator.pid);
    for (const name of agents) slopes.agents.note(farm.agent(name).service.pid);
  }
}

function report(): void {
  const count = (...invariants: readonly string[]): number =>
    violations.filter((violation) => invariants.includes(violation.split(':')[0] ?? '')).length;
  const sorted = recoveries.toSorted((one, other) => one - other);
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  for (const violation of violations) console.log(violation);
  const figures = {
    bench: 'soak',
    minutes,
    seed: Number(values.seed),
    builds: evidence.builds.length,
    ...Object.fromEntries(ends),
    faults: Object.fromEntries(injected),
    injected: recoveries.length,
    wrong: count('I2', 'I3', 'I5', 'I7', 'I9', 'I10'),
    lost: count('I1'),
    halfPublished: count('I4'),
    leaked: count('I6'),
    orphans: count('I8'),
    coordinatorSlope: slopes.coordinator.perTenMinutes(),
    agentSlope: slopes.agents.perTenMinutes(),
    recovery: { p50: at(0.5), p99: at(0.99) },
  };
  console.log(
    `${figures.builds} builds, ${figures.injected} faults: ${figures.wrong} wrong, ${figures.lost} lost, ` +
      `${figures.halfPublished} half-published, ${figures.orphans} orphans; memory in MB per 10 minutes: coordinator ` +
      `${figures.coordinatorSlope}, agents ${figures.agentSlope}; recovery p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
  console.log(JSON.stringify(figures));
  process.exitCode = violations.length === 0 ? 0 : 1;
}

/**
 * A whole farm in one process and in no time: the real state machine and scheduler among agents, a network, a
 * registry and clients that all fail at random. A seed repeats everything.
 */
import type { NewBuild } from '../../coordinator/farm/events.ts';
import { amd64, arm64, sampleAgent, sampleSpec } from '../support/farm-fixtures.ts';
import { Random } from '../support/random.ts';
import { SimulatedAgent } from './agent.ts';
import { Checker, lookEvery } from './checker.ts';
import { Coordinator } from './coordinator.ts';
import { Nemesis } from './nemesis.ts';
import { SimulatedTime } from './time.ts';
import { World } from './world.ts';

export interface Outcome {
  readonly faults: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly checks: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly builds: number;
  readonly trace?: ((line: string) => void) | undefined;
}

const minute = 60_000;
const hour = 60 * minute;
const tags = 'abcdefghijkl'.split('').map((name) => `localhost:5000/${name}`);

export class Simulation {
  readonly #world: World;
  readonly #coordinator: Coordinator;
  readonly #agents: readonly SimulatedAgent[];
  readonly #builds: number;
  #submitted = 0;

  constructor({ seed, builds, trace }: SimulationOptions) {
    const time = new SimulatedTime();
    const checker = new Checker(
      () => time.now,
      () => this.#agents,
    );
    this.#world = new World({ time, random: new Random(seed), checker }, trace);
    this.#builds = builds;
    this.#coordinator = new Coordinator(this.#world);
    const native = (...platforms: string[]) => platforms.map((platform) => ({ platform, native: true }));
    this.#agents = [
      sampleAgent('amd-1', { slots: 2 }),
      sampleAgent('amd-2', { slots: 3, weight: 2, labels: { zone: 'b' } }),
      sampleAgent('arm-1', { platforms: native(arm64), slots: 2 }),
      sampleAgent('arm-2', { platforms: native(arm64) }),
      sampleAgent('both', { platforms: native(amd64, arm64), slots: 2, labels: { zone: 'b' } }),
      sampleAgent('emulating', { platforms: [...native(amd64), { platform: arm64, native: false }] }),
    ].map((facts) => new SimulatedAgent(this.#world, facts, () => this.#coordinator.network));
  }

  /** Throws at the first violation. */
  run(): Outcome {
    const { time, checker } = this.#world;
    this.#coordinator.start();
    for (const agent of this.#agents) agent.start();
    this.#look();
    this.#submitNext();
    new Nemesis(this.#world, this.#coordinator, this.#agents).start();
    while (this.#submitted < this.#builds || this.#coordinator.storage.open > 0) time.step(Infinity);
    const quiet = time.now + hour;
    while (time.step(quiet));
    checker.end(this.#coordinator.agents, [...this.#coordinator.storage.events].length);
    const { faults } = this.#world;
    return { faults, statuses: this.#coordinator.storage.statuses, checks: checker.checks };
  }

  #look(): void {
    this.#world.checker.look();
    this.#world.time.after(lookEvery, () => this.#look());
  }

  #submitNext(): void {
    if (this.#submitted === this.#builds) {
      this.#world.peace = true;
      return;
    }
    if (this.#coordinator.listening) this.#submit();
    this.#world.time.after(this.#world.random.between(0, 30_000), () => this.#submitNext());
  }

  #submit(): void {
    const { random, time } = this.#world;
    const id = `b${this.#submitted + 1}`;
    const spec = sampleSpec({
      tags: [...new Set([random.pick(tags), random.pick(tags)])],
      platforms: random.pick([[amd64], [arm64], [amd64, arm64]]),
      optional: random.chance(0.2) ? [arm64] : [],
      agentLabels: random.chance(0.1) ? { zone: 'b' } : {},
      priority: random.between(-1, 2),
      allowEmulation: random.chance(0.5),
      waitAgent: random.between(minute, 30 * minute),
      ...(random.chance(0.2) ? { timeout: random.between(30_000, 10 * minute) } : {}),
    });
    this.#submitted += 1;
    this.#world.checker.submitted({
      id,
      sequence: this.#submitted,
      platforms: spec.platforms,
      optional: spec.optional,
      labels: spec.agentLabels,
      tags: spec.tags,
      emulation: spec.allowEmulation,
      priority: spec.priority,
      waitAgent: spec.waitAgent,
      timeout: spec.timeout ?? Infinity,
      limit: 6 * hour,
    });
    const build = { id, sequence: this.#submitted, spec, client: random.pick(['one', 'another', 'a third']) };
    this.#coordinator.tell({ type: 'submitted', build });
    // The coordinator died before it was stored: the client got no answer, and asks again.
    if (!this.#coordinator.storage.has(id)) return this.#again(build);
    if (!this.#world.strikes('client cancels', 0.1)) return undefined;
    const error = { code: 'cancelled', message: 'cancelled by a user' } as const;
    // Some of them when all is peaceful again.
    return time.after(random.between(0, random.chance(0.5) ? 3 * hour : 2 * minute), () =>
      this.#coordinator.tell({ type: 'cancelled', build: id, error }),
    );
  }

  #again(build: NewBuild): void {
    this.#world.time.after(1000, () => {
      if (this.#coordinator.listening) this.#coordinator.tell({ type: 'submitted', build });
      if (!this.#coordinator.storage.has(build.id)) this.#again(build);
    });
  }
}

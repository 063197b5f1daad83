/** Does harm at random: to agents, their engines, their network, the coordinator and its clock. */
import type { SimulatedAgent } from './agent.ts';
import type { Coordinator } from './coordinator.ts';
import type { World } from './world.ts';

const minute = 60_000;

export class Nemesis {
  readonly #world: World;
  readonly #coordinator: Coordinator;
  readonly #agents: readonly SimulatedAgent[];
  /** Each as often as its number says. */
  readonly #harms: readonly (readonly [number, string, (agent: SimulatedAgent) => void])[];

  constructor(world: World, coordinator: Coordinator, agents: readonly SimulatedAgent[]) {
    this.#world = world;
    this.#coordinator = coordinator;
    this.#agents = agents;
    const { random } = world;
    const { network } = coordinator;
    const between = (low: number, high: number): number => random.between(low, high);
    this.#harms = [
      [8, 'agent killed', (agent) => agent.kill(between(500, 2 * minute))],
      [6, 'engine killed', (agent) => agent.killEngine(between(500, minute))],
      [40, 'connection cut', (agent) => network.cut(agent)],
      [15, 'partition', (agent) => network.partition(agent, ['up', 'down'], between(500, 90_000))],
      [8, 'one-way partition', (agent) => network.partition(agent, ['up'], between(500, 90_000))],
      [8, 'one-way partition', (agent) => network.partition(agent, ['down'], between(500, 90_000))],
      [1, 'long partition', (agent) => network.partition(agent, ['up', 'down'], 20 * minute)],
      [4, 'agent drained', (agent) => this.#drain(agent, between(1000, 5 * minute))],
      [2, 'coordinator paused', () => coordinator.pause(between(6000, minute))],
      [2, 'kill planned', () => this.#coordinator.killSoon('before it is stored')],
      [2, 'kill planned', () => this.#coordinator.killSoon('before it is applied')],
      [2, 'kill planned', () => this.#coordinator.killSoon('among its effects')],
    ];
  }

  start(): void {
    if (this.#world.peace) return;
    const { random, time } = this.#world;
    const agent = random.pick(this.#agents);
    const total = this.#harms.reduce((sum, [weight]) => sum + weight, 0);
    let left = random.between(0, total);
    for (const [weight, name, harm] of this.#harms) {
      left -= weight;
      if (left >= 0) continue;
      // A kill is counted when it happens.
      if (name !== 'kill planned') this.#world.fault(name, agent.facts.name);
      harm(agent);
      break;
    }
    time.after(random.between(200, 7000), () => this.start());
  }

  #drain(agent: SimulatedAgent, milliseconds: number): void {
    this.#coordinator.drain(agent.facts.name, true);
    this.#resume(agent, milliseconds);
  }

  /** The order may be missed by a coordinator that is away. */
  #resume(agent: SimulatedAgent, milliseconds: number): void {
    this.#world.time.after(milliseconds, () => {
      if (this.#coordinator.listening) this.#coordinator.drain(agent.facts.name, false);
      else this.#resume(agent, 1000);
    });
  }
}

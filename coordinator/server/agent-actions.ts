/** What the API does with agents: who is there, and the orders that people give them. */
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { Farm } from '../farm/farm.ts';

export class AgentActions {
  readonly #farm: Farm;

  constructor(farm: Farm) {
    this.#farm = farm;
  }

  list(): readonly AgentView[] {
    return this.#farm.agents();
  }

  /** It finishes what it has. Resolves when that is on disk; throws `not-found`. */
  async drain(name: string, by: string): Promise<void> {
    this.#find(name);
    await this.#farm.drain(name, by);
  }

  /** Also for an agent that gets no work because of its failures. Throws `not-found`. */
  async resume(name: string): Promise<void> {
    this.#find(name);
    await this.#farm.undrain(name);
  }

  /** Throws `not-found`, and `usage` for an agent that is connected: it would only come back. */
  async remove(name: string): Promise<void> {
    const agent = this.#find(name);
    if (agent !== undefined && agent.state !== 'offline') {
      throw new ArchfarmError('usage', `agent ${name} is connected`, {
        hint: `stop archfarm-agent on its host first (archfarm agents drain ${name} lets it finish its work)`,
      });
    }
    await this.#farm.removeAgent(name);
  }

  /** Undefined for one that is known by an order alone. */
  #find(name: string): AgentView | undefined {
    const agents = this.#farm.agents();
    const agent = agents.find((known) => known.name === name);
    const names = [...new Set([...agents.map((known) => known.name), ...this.#farm.drainedAgents()])];
    if (names.includes(name)) return agent;
    const near = closestMatch(name, names, { maxDistance: 3 });
    throw new ArchfarmError('not-found', `no agent is called ${JSON.stringify(name)}`, {
      hint: near === undefined ? 'archfarm agents lists them' : `did you mean ${near}?`,
    });
  }
}

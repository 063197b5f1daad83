/** What the API does with agents: who is there, who may come, and the orders that people give them. */
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatJoinToken } from '../../shared/join-token.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { Farm } from '../farm/farm.ts';
import type { AgentPool } from '../farm/pool.ts';
import type { Connections } from '../trust/connections.ts';
import type { Identities, Limits } from '../trust/identities.ts';

export interface AgentParts {
  readonly farm: Farm;
  readonly pool: Pick<AgentPool, 'expel'>;
  readonly identities: Identities;
  readonly connections: Connections;
  /** By which hosts know this coordinator; undefined without TLS. */
  readonly pin: () => string | undefined;
}

export interface AddedAgent {
  /** What its host joins with; undefined where it needs a certificate of another authority. */
  readonly token?: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
}

export class AgentActions {
  readonly #parts: AgentParts;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  list(): readonly AgentView[] {
    return this.#parts.farm.agents();
  }

  /** Lets a host join under this name. Throws `config` without TLS, `usage` for a name that has joined. */
  async add(name: string, limits: Limits): Promise<AddedAgent> {
    const { identities, pin } = this.#parts;
    const known = pin();
    if (known === undefined) {
      throw new ArchfarmError('config', 'hosts join a coordinator that speaks TLS, which this one does not', {
        hint: 'start it with archfarm serve --tls',
      });
    }
    const ticket = await identities.add(name, limits);
    if (ticket === undefined) return {};
    const { secret, expiresAt } = ticket;
    return { token: formatJoinToken({ pin: known, secret }), expiresAt };
  }

  /** It finishes what it has. Resolves when that is on disk; throws `not-found`. */
  async drain(name: string, by: string): Promise<void> {
    this.#require(name);
    await this.#parts.farm.drain(name, by);
  }

  /** Also for an agent that gets no work because of its failures. Throws `not-found`. */
  async resume(name: string): Promise<void> {
    this.#require(name);
    await this.#parts.farm.undrain(name);
  }

  /**
   * Ends its connections; what it had goes to others, and nothing that it brings counts. One that joined by certificate is
   * refused from now on. Throws `not-found`.
   */
  async remove(name: string): Promise<void> {
    this.#require(name);
    const { identities, pool, connections, farm } = this.#parts;
    // First of all: it would only come back.
    await identities.remove(name);
    pool.expel(name);
    // One that came with the shared token has no identity, and holds its other connections by its name.
    for (const type of ['agent', 'token'] as const) connections.end({ type, name });
    await farm.removeAgent(name);
  }

  /** It is here, or known by an order or an invitation alone. */
  #require(name: string): void {
    const { farm, identities } = this.#parts;
    const connected = farm.agents().map((agent) => agent.name);
    const names = [...new Set([...connected, ...farm.drainedAgents(), ...identities.names()])];
    if (names.includes(name)) return;
    const near = closestMatch(name, names, { maxDistance: 3 });
    throw new ArchfarmError('not-found', `no agent is called ${JSON.stringify(name)}`, {
      hint: near === undefined ? 'archfarm agents lists them' : `did you mean ${near}?`,
    });
  }
}

/**
 * Agents that have joined and that the farm has forgotten, since they are away or have not come since a start: they are
 * offline until somebody removes them, or nobody would be told.
 */
import type { AgentView } from '../../farm/agent-state.ts';
import type { Identities } from '../../trust/identities.ts';

export type Condition = Pick<AgentView, 'name' | 'platforms' | 'state'>;

export type JoinedSource = Pick<Identities, 'joined'>;

export class AwayAgents {
  readonly #identities: JoinedSource;
  /** What each offered when it was last looked at. */
  #offered: ReadonlyMap<string, AgentView['platforms']> = new Map();

  constructor(identities: JoinedSource) {
    this.#identities = identities;
  }

  /** Given all that the farm knows. */
  among(here: readonly AgentView[]): Condition[] {
    const known = new Map(here.map(({ name, platforms }) => [name, platforms]));
    const { joined } = this.#identities;
    const conditions = joined.map(({ name, platforms: limits }): Condition => {
      // One that has not come since a start is there for what it was added for.
      const added = limits.map((platform) => ({ platform, native: true }));
      const platforms = known.get(name) ?? this.#offered.get(name) ?? added;
      return { name, platforms, state: 'offline' };
    });
    this.#offered = new Map(conditions.map(({ name, platforms }) => [name, platforms]));
    return conditions.filter(({ name }) => !known.has(name));
  }
}

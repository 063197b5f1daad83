/** Agents that come with the shared token: those that may, and how the others go that were here before one joined. */
import { ArchfarmError, toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Farm } from '../farm/farm.ts';
import type { AgentPool } from '../farm/pool.ts';
import type { Connections } from '../trust/connections.ts';
import type { Identities } from '../trust/identities.ts';

export interface TokenAgentRules {
  readonly identities: Pick<Identities, 'isTaken' | 'anyJoined'>;
  /** Whether they may come although others have a certificate. */
  readonly tokenAgents: boolean;
}

export interface TokenAgentParts extends TokenAgentRules {
  readonly pool: AgentPool;
  readonly farm: Farm;
  readonly connections: Connections;
  readonly log: Logger;
}

/** Why whoever comes as an agent of this name, where it says one, may not do so without a certificate. */
export function tokenRefusal(
  { identities, tokenAgents }: TokenAgentRules,
  name: string | undefined,
): ArchfarmError | undefined {
  if (name !== undefined && identities.isTaken(name)) {
    return new ArchfarmError('forbidden', `agent ${name} is known here by its certificate alone`);
  }
  if (tokenAgents || !identities.anyJoined) return undefined;
  return new ArchfarmError('forbidden', 'agents join this farm by certificate, and no more with its token', {
    hint: 'archfarm agents add NAME prints how; archfarm serve --token-agents takes both',
  });
}

/** Ends the connections of those that may not be here any more. What they build goes to others at once. */
export function expelTokenAgents(parts: TokenAgentParts): void {
  const { pool, farm, connections, log } = parts;
  for (const name of pool.byToken()) {
    const refusal = tokenRefusal(parts, name);
    if (refusal === undefined) continue;
    log.warn({ agent: name, reason: refusal.message, hint: refusal.hint }, 'an agent may not stay');
    pool.dismiss(name, farm.workOf(name));
    connections.end({ type: 'token', name });
    const { message, hint } = toErrorInfo(refusal);
    const lost = farm.loseWork(name, {
      code: 'agent-lost',
      message: `agent ${name} was sent away: ${message}`,
      hint,
    });
    lost.catch((err: unknown) =>
      log.error({ agent: name, err }, 'the work of an agent could not be given to others'),
    );
  }
}

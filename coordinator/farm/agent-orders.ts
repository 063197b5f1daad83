/** What somebody orders of an agent as a whole, or what befalls it. */
import type { ErrorInfo } from '../../shared/errors.ts';
import type { DurableEvent, VolatileEvent } from './events.ts';
import { FarmQueries } from './farm-queries.ts';

export abstract class AgentOrders extends FarmQueries {
  abstract record(event: DurableEvent): Promise<void>;
  abstract note(event: VolatileEvent): void;
  /** As `note`; resolves when all that came before has taken effect, and this. */
  protected abstract noted(event: VolatileEvent): Promise<void>;

  /** The agent gets no new work until `undrain`, whoever restarts meanwhile; what it has it finishes. */
  async drain(agent: string, by: string): Promise<void> {
    const at = this.now;
    await this.store.drain(agent, { by, at });
    this.note({ type: 'drained', at, agent, by });
  }

  async undrain(agent: string): Promise<void> {
    await this.store.undrain(agent);
    this.note({ type: 'undrained', at: this.now, agent });
  }

  /**
   * Nothing is remembered of an agent that is away, and nothing counts that it brought or may still bring to builds that
   * have not begun to publish: others do that. On disk when it resolves.
   */
  async removeAgent(agent: string): Promise<void> {
    await this.store.undrain(agent);
    // Offers to it may be ahead of this.
    await this.noted({ type: 'agent-removed', at: this.now, agent });
    const error = { code: 'agent-lost', message: `agent ${agent} was removed from the farm` } as const;
    const voided = this.attemptsOf(agent).map(({ id: attempt }) =>
      this.record({ type: 'voided', at: this.now, attempt, error }),
    );
    await Promise.all(voided);
  }

  /** Gives the work of an agent that may not come back to others, as that of a lost one. On disk when it resolves. */
  async loseWork(agent: string, error: ErrorInfo): Promise<void> {
    const outcome = { outcome: 'lost', kind: 'infrastructure', error } as const;
    const lost = this.workOf(agent).map((attempt) =>
      this.record({ type: 'failed', at: this.now, attempt, ...outcome }),
    );
    await Promise.all(lost);
  }
}

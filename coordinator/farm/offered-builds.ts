/** Which builds each agent was offered something of: it asks for contents by the thousand, and many builds go on. */
import type { AttemptId } from '../../shared/attempt.ts';

export class OfferedBuilds {
  readonly #byAgent = new Map<string, Set<string>>();

  note(agent: string, { build }: AttemptId): void {
    const builds = this.#byAgent.get(agent) ?? new Set();
    this.#byAgent.set(agent, builds.add(build));
  }

  /** Those that go on, in the order in which they were offered. */
  of(agent: string): string[] {
    return [...(this.#byAgent.get(agent) ?? [])];
  }

  /** To be called when it has ended. */
  forget(build: string): void {
    for (const [agent, builds] of this.#byAgent) {
      if (builds.delete(build) && builds.size === 0) this.#byAgent.delete(agent);
    }
  }
}

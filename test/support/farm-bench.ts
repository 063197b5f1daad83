/** The state machine and the scheduler with a clock that a test moves. */
import type { AttemptId } from '../../shared/attempt.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { isDurable } from '../../coordinator/farm/events.ts';
import type { AgentFacts, DurableEvent, Effect, FarmEvent } from '../../coordinator/farm/events.ts';
import { createState } from '../../coordinator/farm/farm-state.ts';
import { decide } from '../../coordinator/farm/scheduler.ts';
import { apply } from '../../coordinator/farm/state.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';
import { amd64, pushedBy, sampleSpec, verifiedFrom } from './farm-fixtures.ts';

type Untimed = FarmEvent extends infer Event ? (Event extends unknown ? Omit<Event, 'at'> : never) : never;

export class FarmBench {
  readonly state = createState({ timers: defaultTimers, startedAt: 0 });
  readonly durable: DurableEvent[] = [];
  at = 100_000;
  #sequence = 0;
  #effects: Effect[] = [];

  constructor() {
    this.tell({ type: 'tick' });
    // Past the grace of the start, which a test of its own is about.
    this.pass(defaultTimers.grace + 1000);
    this.take();
  }

  tell(untimed: Untimed): void {
    this.#apply({ ...untimed, at: this.at });
    this.#decide();
  }

  /** Time goes by in ticks, as it does in production. */
  pass(milliseconds: number, meanwhile: () => void = () => {}): void {
    for (const end = this.at + milliseconds; this.at < end;) {
      this.at += Math.min(defaultTimers.tick, end - this.at);
      meanwhile();
      this.tell({ type: 'tick' });
    }
  }

  connect(agent: AgentFacts, attempts: readonly AttemptId[] = []): void {
    this.tell({ type: 'agent-up', agent, attempts });
  }

  submit(id: string, change: Partial<BuildSpec> = {}, client = 'test'): void {
    this.#sequence += 1;
    const build = { id, sequence: this.#sequence, spec: sampleSpec(change), client };
    this.tell({ type: 'submitted', build });
  }

  /** Accepts, reports and verifies. */
  deliver(attempt: AttemptId): void {
    const image = pushedBy(attempt);
    this.tell({ type: 'accepted', attempt });
    this.tell({ type: 'reported', attempt, image });
    this.tell({ type: 'verified', attempt, image: verifiedFrom(attempt, image) });
  }

  fail(attempt: AttemptId, kind: 'build' | 'infrastructure'): void {
    const error = { code: kind === 'build' ? 'build-failed' : 'engine-down', message: 'it broke' } as const;
    this.tell({ type: 'failed', attempt, outcome: 'failed', kind, error });
  }

  take<Type extends Effect['type']>(type?: Type): Extract<Effect, { type: Type }>[] {
    const taken = this.#effects;
    this.#effects = [];
    return taken.filter((effect): effect is Extract<Effect, { type: Type }> => effect.type === type);
  }

  #decide(): void {
    for (let due = decide(this.state, this.at); due.length > 0; due = decide(this.state, this.at)) {
      for (const event of due) this.#apply(event);
    }
  }

  #apply(event: FarmEvent): void {
    if (isDurable(event)) this.durable.push(event);
    this.#effects.push(...apply(this.state, event));
  }
}

export const attempt = (build: string, platform: string, number = 1): AttemptId => ({
  build,
  platform,
  number,
});
export const single = { platforms: [amd64] };
export const published = { mediaType: 'list', digest: 'sha256:list', size: 1 };

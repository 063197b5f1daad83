/**
 * The real state machine and scheduler among simulated agents, a simulated network and a simulated registry, all
 * of which fail at random. What must always hold is checked at every event. A seed repeats everything.
 */
import * as assert from 'uvu/assert';
import { failedTries } from '../../coordinator/farm/build-state.ts';
import { isDurable } from '../../coordinator/farm/events.ts';
import type { DurableEvent, Effect, FarmEvent } from '../../coordinator/farm/events.ts';
import { createState, isWanted } from '../../coordinator/farm/farm-state.ts';
import type { FarmState } from '../../coordinator/farm/farm-state.ts';
import { decide } from '../../coordinator/farm/scheduler.ts';
import { apply, unfinishedWork } from '../../coordinator/farm/state.ts';
import { maxTries } from '../../coordinator/farm/task-transitions.ts';
import { buildOf } from '../../coordinator/store/store.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { amd64, arm64, digestOf, pushedBy, sampleAgent, sampleSpec, verifiedFrom } from './farm-fixtures.ts';
import { Random } from './random.ts';
import { SimulatedAgent } from './simulated-agent.ts';
import type { FromAgent, ToSimulatedAgent, World } from './simulated-agent.ts';
import { eventOf } from './simulated-message.ts';
import type { Untimed } from './simulated-message.ts';
import { SimulatedTime } from './simulated-time.ts';

export interface Outcome {
  readonly faults: number;
  readonly statuses: Readonly<Record<string, number>>;
}

type Publish = Extract<Effect, { type: 'publish' }>;

const minute = 60_000;
const repositories = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'].map(
  (tag) => `localhost:5000/${tag}`,
);

export class FarmSimulation implements World {
  readonly time = new SimulatedTime();
  readonly random: Random;
  readonly #builds: number;
  readonly #agents: readonly SimulatedAgent[];
  /** As the store keeps it: events of unfinished builds, and what is archived of the others. */
  #journal: DurableEvent[] = [];
  readonly #archive = new Map<string, BuildResult>();
  readonly #sequences = new Map<string, number>();
  readonly #published = new Map<string, number>();
  /** The registry: which build a tag shows. */
  readonly #registry = new Map<string, string>();
  #state: FarmState | undefined;
  /** Counts lives of the coordinator: what an earlier one began does not come back to a later one. */
  #life = 0;
  /** What a paused coordinator has not read yet. */
  #unheard: Untimed[] | undefined;
  #submitted = 0;
  #faults = 0;

  constructor(seed: number, builds: number) {
    this.random = new Random(seed);
    this.#builds = builds;
    const native = (...platforms: string[]) => platforms.map((platform) => ({ platform, native: true }));
    this.#agents = [
      sampleAgent('amd-1', { slots: 2 }),
      sampleAgent('amd-2', { slots: 3, weight: 2 }),
      sampleAgent('arm-1', { platforms: native(arm64), slots: 2 }),
      sampleAgent('arm-2', { platforms: native(arm64) }),
      sampleAgent('both', { platforms: native(amd64, arm64), slots: 2 }),
      sampleAgent('emulating', { platforms: [...native(amd64), { platform: arm64, native: false }] }),
    ].map((facts) => new SimulatedAgent(this, facts));
  }

  run(): Outcome {
    this.#startCoordinator();
    this.#tick();
    for (const agent of this.#agents) agent.start();
    this.#submitNext();
    this.#nextFault();
    const end = this.time.now + 24 * 60 * minute;
    while (this.#archive.size < this.#builds) {
      if (!this.time.step(end))
        assert.unreachable(`builds never ended: ${[...(this.#state?.builds.keys() ?? [])].join()}`);
    }
    const quiet = this.time.now + 30 * minute;
    while (this.time.step(quiet));
    this.#checkEnd();
    const statuses: Record<string, number> = {};
    for (const { status } of this.#archive.values()) statuses[status] = (statuses[status] ?? 0) + 1;
    return { faults: this.#faults, statuses };
  }

  dial(): boolean {
    return this.#state !== undefined;
  }

  send(agent: SimulatedAgent, message: FromAgent): void {
    const { connection, session } = agent;
    const deliver = (): void => {
      // What a broken connection had in flight mostly is lost, and sometimes comes late.
      if (agent.connection !== connection && (message.type === 'hello' || this.random.chance(0.8))) return;
      this.#hear({ agent: agent.facts.name, session }, message);
    };
    this.time.after(message.type === 'hello' ? 0 : this.#delay(), deliver);
    if (message.type !== 'hello' && this.random.chance(0.05)) this.time.after(this.#delay(), deliver);
  }

  hangUp(agent: SimulatedAgent): void {
    this.#tell({ type: 'agent-down', agent: agent.facts.name, session: agent.session });
  }

  #hear(from: { agent: string; session: string }, message: FromAgent): void {
    if (this.#state === undefined) return;
    if ('attempt' in message && !isWanted(this.#state, { ...from, attempt: message.attempt })) {
      return this.#sendTo(from.agent, { type: 'settle', attempt: message.attempt });
    }
    this.#tell(eventOf(from, message));
  }

  /** To the coordinator, if it is there; a paused one hears it, in order, when it wakes. */
  #tell(untimed: Untimed): void {
    if (this.#state === undefined) return;
    if (this.#unheard !== undefined) return void this.#unheard.push(untimed);
    this.#handle(this.#state, { ...untimed, at: this.time.now });
    for (
      let due = decide(this.#state, this.time.now);
      due.length > 0;
      due = decide(this.#state, this.time.now)
    ) {
      for (const event of due) this.#handle(this.#state, event);
    }
  }

  #pause(milliseconds: number): void {
    if (this.#state === undefined || this.#unheard !== undefined) return;
    this.#unheard = [];
    const life = this.#life;
    this.time.after(milliseconds, () => {
      if (life !== this.#life) return;
      const unheard = this.#unheard ?? [];
      this.#unheard = undefined;
      for (const event of unheard) this.#tell(event);
    });
  }

  #handle(state: FarmState, event: FarmEvent): void {
    if (isDurable(event) && !this.#archive.has(buildOf(event))) this.#journal.push(event);
    if (event.type === 'offered') {
      const agent = state.agents.get(event.agent);
      assert.ok(agent !== undefined && agent.held.size < agent.facts.slots, `${event.agent} has no slot`);
    }
    for (const effect of apply(state, event)) this.#perform(state, effect);
    if ('attempt' in event) this.#checkTask(state, event.attempt);
  }

  #perform(state: FarmState, effect: Effect): void {
    switch (effect.type) {
      case 'offer':
        return this.#sendTo(effect.agent, effect, effect.session);
      case 'cancel':
      case 'settle':
        return this.#sendTo(effect.agent, effect);
      case 'verify':
        return this.#later(() => {
          const { attempt, image } = effect;
          if (this.random.chance(0.96))
            return { type: 'verified', attempt, image: verifiedFrom(attempt, image) };
          const error = { code: 'registry-error', message: 'simulated' } as const;
          return { type: 'failed', attempt, outcome: 'failed', kind: 'infrastructure', error };
        });
      case 'publish':
        return this.#publish(state, effect);
      case 'prove':
        return this.#later(() => {
          const { build, platforms } = effect;
          const proofs = platforms.map((platform) => [platform, { status: 'passed' }] as const);
          return { type: 'proved', build, proofs: Object.fromEntries(proofs) };
        });
      case 'finished':
        return this.#finish(effect.result);
      case 'notify':
        assert.not(this.#archive.has(effect.build), 'a state after the end');
        return undefined;
      default:
        return effect satisfies never;
    }
  }

  #publish(state: FarmState, { build, children, tags }: Publish): void {
    const platforms = [...(state.builds.get(build)?.tasks.keys() ?? [])];
    assert.equal(children.length, platforms.length, 'a list needs every platform');
    for (const [index, child] of children.entries()) {
      const platform = platforms[index] ?? '';
      const mine = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => pushedBy({ build, platform, number }).digest);
      assert.ok(mine.includes(child.descriptor.digest), 'a child must be of this build and platform');
    }
    const error = { code: 'cancelled', message: 'cancelled too late' } as const;
    if (this.random.chance(0.05)) this.#later(() => ({ type: 'cancelled', build, error }));
    this.#later(() => {
      // After a crash the tags may have moved already; a registry that fails only then is beyond all promises.
      const moved = tags.some((tag) => this.#registry.get(tag) === build);
      if (!moved && this.random.chance(0.03)) {
        return { type: 'publish-failed', build, error: { code: 'registry-error', message: 'simulated' } };
      }
      const sequence = this.#sequences.get(build) ?? 0;
      for (const tag of tags) {
        const shown = this.#sequences.get(this.#registry.get(tag) ?? '') ?? 0;
        assert.ok(shown <= sequence, `${build} would put ${tag} back to something older`);
        this.#registry.set(tag, build);
      }
      const descriptor = { mediaType: 'list', digest: digestOf(build), size: 1 };
      return { type: 'published', build, descriptor, tags, duration: 1 };
    });
  }

  #finish(result: BuildResult): void {
    assert.not(this.#archive.has(result.build), `${result.build} ended twice`);
    this.#archive.set(result.build, result);
    this.#journal = this.#journal.filter((event) => buildOf(event) !== result.build);
    const shown = [...this.#registry.values()].includes(result.build);
    if (result.status !== 'succeeded')
      return assert.not(shown, `${result.build} did not succeed, and a tag shows it`);
    const sequence = this.#sequences.get(result.build) ?? 0;
    for (const tag of result.tags)
      this.#published.set(tag, Math.max(sequence, this.#published.get(tag) ?? 0));
    for (const platform of result.platforms) {
      const pushed = platform.attempts.filter(({ outcome }) => outcome === 'pushed');
      assert.is(pushed.length, 1, 'one image a platform');
    }
    return undefined;
  }

  #checkTask(state: FarmState, { build, platform }: { build: string; platform: string }): void {
    const task = state.builds.get(build)?.tasks.get(platform);
    if (task === undefined) return;
    assert.ok(failedTries(task) <= maxTries, `${build} ${platform} was tried too often`);
    assert.is(
      task.status === 'pushed',
      task.image !== undefined,
      'an image and the state pushed come together',
    );
    const live = task.attempts.filter(({ status }) => status === 'offered' || status === 'running');
    assert.ok(live.length <= 1, 'one attempt at a time');
  }

  #checkEnd(): void {
    assert.is(this.#journal.length, 0);
    for (const agent of this.#agents) {
      assert.ok(agent.isIdle, `${agent.facts.name} works on, or keeps reports`);
      assert.is(
        this.#state?.agents.get(agent.facts.name)?.held.size,
        0,
        `${agent.facts.name} has a slot in use`,
      );
    }
  }

  #sendTo(name: string, { type, attempt }: ToSimulatedAgent, session?: string): void {
    const agent = this.#agents.find(({ facts }) => facts.name === name);
    if (agent === undefined || agent.connection === 0 || (session ?? agent.session) !== agent.session) return;
    const { connection } = agent;
    const deliver = (): void => {
      if (agent.connection === connection) agent.receive({ type, attempt });
    };
    this.time.after(this.#delay(), deliver);
    if (this.random.chance(0.05)) this.time.after(this.#delay(), deliver);
  }

  /** Work of the coordinator's own; nothing comes of it when that dies. */
  #later(work: () => Untimed): void {
    const life = this.#life;
    this.time.after(this.random.between(10, 5000), () => {
      if (life === this.#life) this.#tell(work());
    });
  }

  /** Mostly short, sometimes long enough for others to overtake. */
  #delay(): number {
    return this.random.chance(0.03) ? this.random.between(1000, 20_000) : this.random.between(1, 50);
  }

  #tick(): void {
    this.#tell({ type: 'tick' });
    this.time.after(defaultTimers.tick, () => this.#tick());
  }

  #submitNext(): void {
    if (this.#submitted === this.#builds) return;
    if (this.#state !== undefined && this.#unheard === undefined) this.#submit();
    this.time.after(this.random.between(0, 16_000), () => this.#submitNext());
  }

  #submit(): void {
    const { random } = this;
    this.#submitted += 1;
    const id = `b${this.#submitted}`;
    this.#sequences.set(id, this.#submitted);
    const spec = sampleSpec({
      tags: [...new Set([random.pick(repositories), random.pick(repositories)])],
      platforms: random.pick([[amd64], [arm64], [amd64, arm64]]),
      allowEmulation: random.chance(0.5),
      waitAgent: random.between(minute, 30 * minute),
      ...(random.chance(0.2) ? { timeout: random.between(30_000, 10 * minute) } : {}),
    });
    this.#tell({ type: 'submitted', build: { id, sequence: this.#submitted, spec, client: 'simulation' } });
    if (!random.chance(0.1)) return;
    const error = { code: 'cancelled', message: 'cancelled by a user' } as const;
    this.time.after(random.between(0, 2 * minute), () => this.#tell({ type: 'cancelled', build: id, error }));
  }

  #nextFault(): void {
    // The last builds end in peace, so that "every build ends" can be asked for.
    if (this.#submitted === this.#builds) return;
    this.#faults += 1;
    const { random } = this;
    const what = random.between(0, 20);
    if (what === 0) this.#crash();
    else if (what === 1) this.#pause(random.between(6000, minute));
    else if (what < 9) random.pick(this.#agents).kill(random.between(500, 2 * minute));
    else if (what < 19) random.pick(this.#agents).cut(random.between(100, 3 * minute));
    else random.pick(this.#agents).cut(20 * minute);
    this.time.after(random.between(500, 20_000), () => this.#nextFault());
  }

  #crash(): void {
    const before = this.#state;
    if (before === undefined) return;
    this.#state = undefined;
    this.#life += 1;
    this.#unheard = undefined;
    for (const agent of this.#agents) agent.cut(this.random.between(500, 30_000));
    this.time.after(this.random.between(100, 5000), () => {
      this.#startCoordinator();
      assert.equal(durableParts(this.#state), durableParts(before));
    });
  }

  #startCoordinator(): void {
    const state = createState({
      timers: defaultTimers,
      startedAt: this.time.now,
      published: this.#published,
    });
    for (const event of this.#journal) apply(state, event);
    this.#state = state;
    for (const effect of unfinishedWork(state)) this.#perform(state, effect);
  }
}

function durableParts(state: FarmState | undefined): unknown {
  return [...(state?.builds.values() ?? [])].map((build) => ({ ...build, tasks: [...build.tasks.values()] }));
}

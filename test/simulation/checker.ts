/**
 * Judges a simulated farm by what is seen of it: events as they are stored, offers as they are sent, what the
 * registry is told, what agents do. It shares no code with the farm, and keeps books of its own.
 */
import { AttemptBook } from './attempt-book.ts';
import type { Attempt, Expected, Seen, Stored } from './seen.ts';
import { TagBook } from './tag-book.ts';
import { Violation } from './violation.ts';

interface Entry extends Expected {
  readonly since: number;
  readonly excusedBefore: number;
  cancelled: boolean;
  publishing: boolean;
  ended: { readonly status: string; readonly at: number } | undefined;
}

/** How long an agent that hears the coordinator may go on with what is over; that may have been asleep for a minute. */
const settlesWithin = 180_000;
/** A lease, the grace after a pause, and as much as a clock may have been set back. */
const leaseEndsWithin = 45_000 + 90_000 + 65_000;
const restartGrace = 90_000;

export class Checker {
  readonly #now: () => number;
  readonly #agents: () => readonly Seen[];
  readonly #builds = new Map<string, Entry>();
  readonly #open = new Set<Entry>();
  readonly #attempts = new AttemptBook();
  readonly #tags = new TagBook();
  #startedAt = 0;
  #excused = 0;
  #awayUntil = 0;
  readonly #drained = new Set<string>();
  readonly #heardAt = new Map<string, number>();
  /** How many judgements were made. */
  checks = 0;

  constructor(now: () => number, agents: () => readonly Seen[]) {
    this.#now = now;
    this.#agents = agents;
  }

  fail(invariant: string, what: string): never {
    throw new Violation(invariant, what);
  }

  submitted(expected: Expected): void {
    const entry = {
      ...expected,
      since: this.#now(),
      excusedBefore: this.#excused,
      cancelled: false,
      publishing: false,
      ended: undefined,
    };
    this.#builds.set(expected.id, entry);
    this.#open.add(entry);
  }

  /** The coordinator was away or asleep for so long, or its clock moved by so much. */
  excuse(milliseconds: number): void {
    this.#excused += milliseconds;
    this.#awayUntil = Math.max(this.#awayUntil, this.#now() + milliseconds);
  }

  drained(agent: string, isDrained: boolean): void {
    if (isDrained) this.#drained.add(agent);
    else this.#drained.delete(agent);
  }

  /** Anything came from this agent. */
  heard(agent: string): void {
    this.#heardAt.set(agent, this.#now());
  }

  started(at: number): void {
    this.#startedAt = at;
    this.#attempts.forgetAsked();
  }

  stored(
    event: Stored,
    farm: { readonly agents: ReadonlyMap<string, { readonly held: ReadonlyMap<string, unknown> }> },
  ): void {
    this.checks += 1;
    const { attempt, type } = event;
    if (type === 'cancelled' || type === 'publishing') this.#turn(event);
    if (attempt === undefined) return;
    const name = nameOf(attempt);
    const task = `${attempt.build}/${attempt.platform}`;
    if (type === 'offered') {
      this.#attempts.offered({ task, name, number: attempt.number, agent: event.agent ?? '' });
      const held = farm.agents.get(event.agent ?? '')?.held.size ?? 0;
      const slots = this.#host(event.agent ?? '').facts.slots;
      if (held >= slots)
        this.fail('slots', `${name} was offered to ${event.agent}, whose ${slots} slots are in use`);
    }
    if (type === 'failed' && event.outcome === 'lost') this.#mayBeLost(name);
    if (event.error?.code === 'timeout') this.#mayBeTimedOut(task, event.at);
    if (
      type === 'accepted' ||
      type === 'resumed' ||
      type === 'failed' ||
      type === 'reported' ||
      type === 'verified'
    )
      this.#attempts.event({ task, name, ...event, now: this.#now() });
  }

  offered({ attempt, agent }: { attempt: Attempt; agent: string }): void {
    this.checks += 1;
    const name = nameOf(attempt);
    const build = this.#build(attempt.build);
    if (!this.#attempts.isStored(name))
      this.fail('stored-first', `${name} was offered before that was stored`);
    if (build.ended !== undefined || build.cancelled)
      this.fail('over', `${name} was offered after its build had ended`);
    if (!build.platforms.includes(attempt.platform)) this.fail('fits', `nobody asked for ${name}`);
    if (this.#drained.has(agent)) this.fail('drained', `${name} was offered to ${agent}, which is drained`);
    const { platforms, labels } = this.#host(agent).facts;
    const offered = platforms.find(({ platform }) => platform === attempt.platform);
    const isLabelled = Object.entries(build.labels).every(([key, value]) => labels[key] === value);
    if (offered === undefined || !(offered.native || build.emulation) || !isLabelled)
      this.fail('fits', `${agent} cannot or may not build ${name}`);
  }

  verifyAsked(name: string): void {
    this.checks += 1;
    this.#attempts.asked(name);
  }

  pushed(name: string, digest: string): void {
    this.#attempts.pushed(name, digest);
  }

  verified(name: string): void {
    this.#attempts.verified(name);
  }

  /** The list that is about to be published. */
  publishes({
    build: id,
    children,
    tags,
  }: {
    build: string;
    children: readonly { descriptor: { digest: string } }[];
    tags: readonly string[];
  }): void {
    this.checks += 1;
    const build = this.#build(id);
    if (!build.publishing) this.fail('stored-first', `${id} publishes before that was stored`);
    if (build.ended !== undefined || build.cancelled) this.fail('over', `${id} publishes after its end`);
    for (const tag of tags)
      if (!build.tags.includes(tag)) this.fail('list', `nobody asked for ${tag} of ${id}`);
    const platforms = children.map(({ descriptor }) => this.#attempts.platformOf(id, descriptor.digest));
    const wanted = build.platforms.filter(
      (platform) => platforms.includes(platform) || !build.optional.includes(platform),
    );
    if (platforms.length === 0 || platforms.join() !== wanted.join())
      this.fail('list', `${id} publishes ${platforms.join()} instead of ${build.platforms.join()}`);
  }

  put(tag: string, { build: id, digest }: { build: string; digest: string }): void {
    this.checks += 1;
    const build = this.#build(id);
    if (build.ended !== undefined) this.fail('tag-unchanged', `${id} moves ${tag} after its end`);
    this.#tags.put(tag, { build: id, digest, sequence: build.sequence });
  }

  putBack(tag: string, digest: string | undefined): void {
    this.#tags.putBack(tag, digest);
  }

  finished({ build: id, status, tags }: { build: string; status: string; tags: readonly string[] }): void {
    this.checks += 1;
    const build = this.#build(id);
    if (build.ended !== undefined) this.fail('ends-once', `${id} ended twice`);
    build.ended = { status, at: this.#now() };
    this.#open.delete(build);
    this.#attempts.over(id, build.platforms);
    if (status === 'succeeded') this.#tags.mustShow(tags, { build: id, sequence: build.sequence });
    else this.#tags.mustNotShow(id);
  }

  notified(id: string): void {
    if (this.#build(id).ended !== undefined) this.fail('ends-once', `${id} changes after its end`);
  }

  frame(name: string, frame: number): void {
    this.checks += 1;
    this.#attempts.frame(name, frame);
  }

  /** Of things that do not happen although they should. */
  look(): void {
    this.checks += 1;
    const now = this.#now();
    for (const build of this.#open) {
      const took = now - build.since - (this.#excused - build.excusedBefore);
      if (took > build.limit)
        this.fail('ends-in-time', `${build.id} goes on after ${Math.round(took / 1000)} s`);
    }
    for (const { name, agent, acceptedAt, since } of this.#attempts.leased()) {
      const from = Math.max(this.#heardAt.get(agent) ?? 0, acceptedAt, this.#startedAt, this.#awayUntil);
      if (now - from > leaseEndsWithin)
        this.fail('lease', `${name} still waits for ${agent}, which is silent for ${now - from} ms`);
      const { timeout } = this.#build(buildOf(name));
      const begun = Math.max(since + timeout, this.#startedAt, this.#awayUntil);
      if (now - begun > leaseEndsWithin)
        this.fail('time-limit', `${name} goes on ${now - since} ms after it began, of ${timeout}`);
    }
    for (const agent of this.#agents()) {
      if (agent.running.size > agent.facts.slots)
        this.fail('slots', `${agent.facts.name} runs ${agent.running.size}`);
      for (const name of agent.running.keys()) this.#mayRun(agent, name, now);
    }
  }

  /** When all is quiet. */
  end(farm: ReadonlyMap<string, { readonly held: ReadonlyMap<string, unknown> }>, left: number): void {
    if (left > 0) this.fail('leak', `${left} events are kept of builds that ended`);
    if (this.#open.size > 0) this.fail('ends-in-time', 'a build never ended');
    for (const agent of this.#agents()) {
      const { name } = agent.facts;
      if (agent.running.size > 0) this.fail('leak', `${name} still works`);
      if (agent.unsettled > 0) this.fail('leak', `${name} keeps ${agent.unsettled} reports`);
      const held = farm.get(name)?.held.size;
      if (held !== 0) this.fail('leak', `${held} slots of ${name} are in use`);
    }
  }

  #turn({ build: id, type }: { build?: string; type: string }): void {
    const build = this.#build(id ?? '');
    if (type === 'cancelled' && !build.publishing) build.cancelled = true;
    if (type === 'publishing' && !build.cancelled) build.publishing = true;
  }

  /** Work that a living agent goes on with is not given up for a restart of the coordinator. */
  #mayBeLost(name: string): void {
    const runs = this.#agents().find((agent) => agent.running.has(name));
    if (runs !== undefined && this.#now() - this.#startedAt < restartGrace)
      this.fail('kept', `${name} was given up ${this.#now() - this.#startedAt} ms after a restart, and runs`);
  }

  #mayBeTimedOut(task: string, at: number): void {
    const worked = this.#attempts.workedFor(task, at);
    const { timeout } = this.#build(buildOf(task));
    if (worked <= timeout) this.fail('time-limit', `${task} timed out after ${worked} ms of ${timeout}`);
  }

  #mayRun(agent: Seen, name: string, now: number): void {
    const ended = this.#build(buildOf(name)).ended?.at;
    const since = Math.max(ended ?? Infinity, agent.connectedSince ?? Infinity, this.#startedAt);
    if (now - since > settlesWithin)
      this.fail('stops', `${agent.facts.name} still works on ${name}, whose build ended long ago`);
  }

  #build(id: string): Entry {
    return this.#builds.get(id) ?? this.fail('unknown', `there is no build ${id}`);
  }

  #host(name: string): Seen {
    return (
      this.#agents().find(({ facts }) => facts.name === name) ?? this.fail('unknown', `no agent ${name}`)
    );
  }
}

/** Of an attempt or a task. */
function buildOf(name: string): string {
  return name.slice(0, name.indexOf('/'));
}

function nameOf({ build, platform, number }: Attempt): string {
  return `${build}/${platform}/${number}`;
}

/**
 * Judges a simulated farm by what is seen of it: events as they are stored, offers as they are sent, what the
 * registry is told, what agents do. It shares no code with the farm, and keeps books of its own.
 */
import { AttemptBook } from './attempt-book.ts';
import { Endings } from './endings.ts';
import { HostBook } from './host-book.ts';
import type { Attempt, Expected, Seen, Stored } from './seen.ts';
import { TagBook } from './tag-book.ts';
import { Violation } from './violation.ts';
import { WaitBook } from './wait-book.ts';

interface Entry extends Expected {
  readonly since: number;
  readonly excusedBefore: number;
  cancelled: boolean;
  publishing: boolean;
  /** The registry refused it for good. */
  refused: boolean;
  ended: { readonly status: string; readonly at: number } | undefined;
}

/** How long an agent that hears the coordinator may go on with what is over; that may have been asleep for a minute. */
const settlesWithin = 180_000;
/** A lease, the grace after a pause, and as much as a clock may have been set back. */
const leaseEndsWithin = 45_000 + 90_000 + 65_000;
const restartGrace = 90_000;
/** Milliseconds between two looks. */
export const lookEvery = 5000;

export class Checker {
  readonly #now: () => number;
  readonly #agents: () => readonly Seen[];
  readonly #builds = new Map<string, Entry>();
  readonly #open = new Set<Entry>();
  readonly #attempts = new AttemptBook();
  readonly #tags = new TagBook();
  #startedAt = 0;
  #awakeSince = 0;
  #excused = 0;
  #awayUntil = 0;
  readonly #waits: WaitBook;
  readonly #endings: Endings;
  /** What the coordinator has heard of agents. */
  readonly hosts: HostBook;
  /** How many judgements were made. */
  checks = 0;

  constructor(now: () => number, agents: () => readonly Seen[]) {
    this.#now = now;
    this.#agents = agents;
    this.hosts = new HostBook(now);
    this.#waits = new WaitBook(now, this.hosts);
    this.#endings = new Endings(this.#attempts, this.#waits, this.#tags);
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
      refused: false,
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

  /** The coordinator was only asleep. */
  awoke(): void {
    this.#awakeSince = this.#now();
  }

  started(at: number): void {
    this.#startedAt = at;
    this.#awakeSince = at;
    this.hosts.allGone();
    this.#attempts.forgetAsked();
  }

  stored(
    event: Stored,
    farm: { readonly agents: ReadonlyMap<string, { readonly held: ReadonlyMap<string, unknown> }> },
  ): void {
    this.checks += 1;
    const { attempt, type } = event;
    if (attempt === undefined) return this.#turn(event);
    const name = nameOf(attempt);
    const task = `${attempt.build}/${attempt.platform}`;
    if (type === 'offered') {
      const { agent = '' } = event;
      this.#mayBeGiven(task, name, agent);
      this.#attempts.offered({ task, name, number: attempt.number, agent });
      this.#waits.served(task);
      this.hosts.offered(agent);
      const held = farm.agents.get(agent)?.held.size ?? 0;
      const slots = this.#host(agent).facts.slots;
      if (held >= slots)
        this.fail('slots', `${name} was offered to ${agent}, whose ${slots} slots are in use`);
      return;
    }
    if (type === 'failed' && event.outcome === 'lost') this.#mayBeLost(name);
    if (event.error?.code === 'timeout') this.#mayBeTimedOut(task, event.at);
    const outcome = this.#attempts.event({ task, name, ...event, now: this.#now() });
    this.#noteHost(this.#attempts.agentOf(name), event);
    if (outcome === 'again') this.#waits.again(task, { anew: event.outcome !== 'declined' });
    else if (type !== 'failed') this.#waits.served(task);
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
    if (this.hosts.isDrained(agent))
      this.fail('drained', `${name} was offered to ${agent}, which is drained`);
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

  faulty(name: string): void {
    this.#attempts.faulty(name);
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
    this.#endings.mayPublish(build, { platforms, tags });
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
    this.#waits.over(build);
    this.#endings.mayEnd(build, { status, tags });
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
    this.#waits.look(this.#agents(), {
      every: lookEvery,
      awakeSince: Math.max(this.#awakeSince, this.#awayUntil),
    });
    for (const { name, agent, acceptedAt, since } of this.#attempts.leased()) {
      const from = Math.max(this.hosts.heardAt(agent), acceptedAt, this.#startedAt, this.#awayUntil);
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

  #turn({ build: of, type, platform = '', tags = [] }: Stored): void {
    const build = this.#build((typeof of === 'string' ? of : of?.id) ?? '');
    if (type === 'submitted') this.#waits.submitted(build);
    if (type === 'abandoned')
      this.#waits.abandoned(`${build.id}/${platform}`, this.#agents(), { awakeSince: this.#awakeSince });
    if (type === 'cancelled' && !build.publishing) build.cancelled = true;
    if (type === 'publishing' && !build.cancelled) build.publishing = true;
    if (type === 'published') this.#tags.published(tags, build);
    if (type === 'publish-failed') build.refused = true;
    if (type === 'cancelled' && build.cancelled) this.#waits.over(build);
  }

  /** Work that an agent still has is not begun again by another, and nobody is put before who is more urgent. */
  #mayBeGiven(task: string, name: string, agent: string): void {
    for (const { name: earlier, agent: keeper } of this.#attempts.givenUp(task)) {
      const works = this.#host(keeper).running.has(earlier);
      if (works && this.hosts.keeps(keeper, earlier))
        this.fail('resumed', `${name} was offered while ${keeper} is back with ${earlier}`);
    }
    this.#waits.mayBeOffered(task, { name: agent, facts: this.#host(agent).facts });
  }

  #noteHost(agent: string, { type, outcome, kind }: Stored): void {
    if (type === 'accepted') this.hosts.began(agent);
    if (type === 'verified' || (type === 'failed' && kind === 'build')) this.hosts.ended(agent, 'well');
    if (type === 'failed' && outcome === 'declined') this.hosts.ended(agent, 'refused');
    if (type === 'failed' && outcome === 'failed' && kind !== 'build') this.hosts.ended(agent, 'badly');
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

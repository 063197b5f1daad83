/** Which tasks wait for an agent, since when, and who could have had them meanwhile. */
import type { HostBook } from './host-book.ts';
import type { Expected, Host, Seen } from './seen.ts';
import { Violation } from './violation.ts';

interface Wait {
  readonly task: string;
  readonly build: Expected;
  readonly platform: string;
  readonly submittedAt: number;
  /** It never had an attempt, so nothing speaks against any agent. */
  isNew: boolean;
  since: number;
  /** By agent: for how long it was seen to do nothing since its last offer. */
  readonly idle: Map<string, { readonly offers: number; readonly time: number }>;
}

/** A task may be kept from an agent that failed it or declined it, and held for a better one, for five minutes. */
const idlesAtMost = 6 * 60_000;
const restartGrace = 90_000;
/** What a look at deadlines decides may die with the coordinator, and its clock may be set back. */
const slack = 60_000;

export class WaitBook {
  readonly #now: () => number;
  readonly #hosts: HostBook;
  readonly #waiting = new Map<string, Wait>();
  /** What stopped waiting, as its attempt may come to nothing. */
  readonly #known = new Map<string, Wait>();
  readonly #abandoned = new Set<string>();

  constructor(now: () => number, hosts: HostBook) {
    this.#now = now;
    this.#hosts = hosts;
  }

  submitted(build: Expected): void {
    for (const platform of build.platforms) {
      const task = `${build.id}/${platform}`;
      const now = this.#now();
      const wait = { task, build, platform, submittedAt: now, isNew: true, since: now, idle: new Map() };
      this.#known.set(task, wait);
      this.#waiting.set(task, wait);
    }
  }

  over({ id, platforms }: Expected): void {
    for (const platform of platforms) {
      this.#known.delete(`${id}/${platform}`);
      this.#waiting.delete(`${id}/${platform}`);
    }
  }

  /** It has an attempt, or needs none any more. */
  served(task: string): void {
    this.#waiting.delete(task);
  }

  /** Its attempt came to nothing; `anew` where that had begun. */
  again(task: string, { anew }: { anew: boolean }): void {
    const wait = this.#known.get(task);
    if (wait === undefined) return;
    wait.isNew = false;
    wait.idle.clear();
    if (anew) wait.since = this.#now();
    this.#waiting.set(task, wait);
  }

  isAbandoned(task: string): boolean {
    return this.#abandoned.has(task);
  }

  /** Nobody may be put before those of a higher priority. */
  mayBeOffered(task: string, { name, facts }: { name: string; facts: Host }): void {
    const priority = this.#known.get(task)?.build.priority ?? 0;
    for (const wait of this.#waiting.values()) {
      if (wait.isNew && wait.build.priority > priority && fitsNatively(wait, facts))
        throw new Violation('priority', `${name} was offered ${task} while ${wait.task} waited`);
    }
  }

  /** `awakeSince`: since when the coordinator has been there without a break. */
  abandoned(task: string, agents: readonly Seen[], { awakeSince }: { awakeSince: number }): void {
    const wait = this.#waiting.get(task);
    if (wait === undefined) throw new Violation('waits', `${task} was abandoned, and does not wait`);
    const now = this.#now();
    const ends = agents
      .filter(({ facts }) => fits(wait, facts))
      .map(({ facts }) => this.#hosts.ableUntil(facts.name));
    const isOld = wait.submittedAt < awakeSince;
    const waited = now - Math.max(wait.since, isOld ? awakeSince : 0, ...ends);
    const { waitAgent } = wait.build;
    if (waited < waitAgent)
      throw new Violation(
        'waits',
        `${task} was abandoned after ${waited} ms without an agent, of ${waitAgent}`,
      );
    if (isOld && now - awakeSince < restartGrace)
      throw new Violation('waits', `${task} was abandoned ${now - awakeSince} ms after a restart`);
    this.#abandoned.add(task);
    this.#waiting.delete(task);
  }

  /** Nobody waits for agents that are not there, or beside one that does nothing. */
  look(agents: readonly Seen[], { every, awakeSince }: { every: number; awakeSince: number }): void {
    for (const wait of this.#waiting.values()) {
      this.#mayWait(wait, agents, awakeSince);
      for (const { facts, running, unsettled } of agents) {
        if (!fitsNatively(wait, facts) || running.size > 0 || unsettled > 0) continue;
        if (!this.#hosts.isWilling(facts.name)) continue;
        const offers = this.#hosts.offers(facts.name);
        const before = wait.idle.get(facts.name);
        const time = every + (before?.offers === offers ? before.time : 0);
        wait.idle.set(facts.name, { offers, time });
        if (time > idlesAtMost)
          throw new Violation('idle', `${wait.task} waits, and ${facts.name} does nothing for ${time} ms`);
      }
    }
  }

  #mayWait(wait: Wait, agents: readonly Seen[], awakeSince: number): void {
    const ends = agents
      .filter(({ facts }) => fits(wait, facts))
      .map(({ facts }) => this.#hosts.hopedForUntil(facts.name));
    const alone = this.#now() - Math.max(wait.since, ...ends, awakeSince);
    if (alone > Math.max(wait.build.waitAgent, restartGrace) + slack)
      throw new Violation(
        'waits',
        `${wait.task} waits ${alone} ms without an agent, of ${wait.build.waitAgent}`,
      );
  }
}

function fitsNatively({ platform, build }: Wait, { platforms, labels }: Host): boolean {
  if (!Object.entries(build.labels).every(([key, value]) => labels[key] === value)) return false;
  return platforms.some((offered) => offered.platform === platform && offered.native);
}

function fits(wait: Wait, host: Host): boolean {
  const platforms = host.platforms.map(({ platform, native }) => ({
    platform,
    native: native || wait.build.emulation,
  }));
  return fitsNatively(wait, { ...host, platforms });
}

/** What was seen of attempts: who was asked to make them, what came of them, what their logs hold. */
import { Violation } from './violation.ts';

interface Line {
  readonly task: string;
  readonly name: string;
  readonly number: number;
  readonly agent: string;
  outcome: string | undefined;
  reported: boolean;
  digest: string | undefined;
  verified: boolean;
  /** It is stored that it brought the image. */
  brought: boolean;
  /** Its agent said that the build itself is at fault. */
  isFaulty: boolean;
  lastFrame: number;
  begunAt: number | undefined;
  endedAt: number | undefined;
}

interface Lease {
  readonly name: string;
  readonly agent: string;
  /** By the coordinator's clock. */
  readonly acceptedAt: number;
  /** By the world's. */
  readonly since: number;
}

const triesOfATask = 3;

export class AttemptBook {
  readonly #lines = new Map<string, Line>();
  readonly #byTask = new Map<string, Line[]>();
  readonly #byDigest = new Map<string, Line>();
  /** Tasks that failed by their own fault. */
  readonly #verdicts = new Set<string>();
  readonly #leases = new Map<string, Lease>();
  /** Tasks of builds that have ended. */
  readonly #over = new Set<string>();
  /** Of this life of the coordinator. */
  readonly #asked = new Set<string>();

  /** Attempts at work, as far as the coordinator knows. */
  leased(): Iterable<Lease> {
    return this.#leases.values();
  }

  /** The build has ended. */
  over(build: string, platforms: readonly string[]): void {
    for (const platform of platforms) {
      this.#over.add(`${build}/${platform}`);
      this.#release(`${build}/${platform}`);
    }
  }

  offered({
    task,
    name,
    number,
    agent,
  }: {
    task: string;
    name: string;
    number: number;
    agent: string;
  }): void {
    if (this.#lines.has(name)) throw new Violation('numbers', `${name} was offered twice`);
    const earlier = this.#byTask.get(task) ?? [];
    if (number !== earlier.length + 1)
      throw new Violation('numbers', `${name} comes after ${earlier.length}`);
    if (this.#verdicts.has(task))
      throw new Violation('no-retry', `${name} follows an error of the build itself`);
    const failed = earlier.filter(isTry);
    if (failed.length >= triesOfATask)
      throw new Violation('tries', `${name} follows ${failed.length} failed tries`);
    if (failed.length !== earlier.filter(({ outcome }) => outcome !== 'declined').length)
      throw new Violation('one-at-a-time', `${name} was offered while another attempt went on`);
    const line = {
      task,
      name,
      number,
      agent,
      outcome: undefined,
      reported: false,
      digest: undefined,
      verified: false,
      brought: false,
      isFaulty: false,
      lastFrame: 0,
      begunAt: undefined,
      endedAt: undefined,
    };
    this.#lines.set(name, line);
    this.#byTask.set(task, [...earlier, line]);
  }

  event(event: {
    task: string;
    name: string;
    type: string;
    at: number;
    now: number;
    outcome?: string;
    kind?: string;
    error?: { readonly code: string };
  }): 'again' | undefined {
    const line = this.#lines.get(event.name);
    if (line === undefined)
      throw new Violation('unknown', `${event.type} of ${event.name}, which nobody offered`);
    if (event.type === 'reported') line.reported = true;
    if (event.type === 'accepted' && (line.outcome !== undefined || line.reported)) return undefined;
    // What was accepted before that, and stored after it, is nobody's work any more.
    const isSettled = this.#over.has(event.task) || this.hasFailed(event.task) || this.#isBrought(event.task);
    if ((event.type === 'accepted' || event.type === 'resumed') && !isSettled)
      this.#leases.set(line.name, {
        name: line.name,
        agent: line.agent,
        acceptedAt: event.at,
        since: event.now,
      });
    else this.#leases.delete(line.name);
    if (event.type === 'verified') {
      // After a verdict it came too late.
      line.brought = !this.hasFailed(line.task);
      this.#release(line.task);
    }
    if (event.type !== 'failed') line.begunAt ??= event.at;
    // Who has begun has not declined, whatever comes late.
    if (event.outcome !== 'declined' || line.begunAt === undefined) {
      // What is told again, by a clock that may have been set back, is no news.
      const endedAt = line.outcome === undefined ? event.at : line.endedAt;
      line.endedAt = event.type === 'failed' ? endedAt : undefined;
    }
    if (event.type !== 'failed') {
      line.outcome = undefined;
      return undefined;
    }
    if (event.kind === 'build' && event.outcome === 'failed') {
      // The others are the coordinator's own.
      if (event.error?.code === 'build-failed' && !line.isFaulty)
        throw new Violation('reason', `${event.name} failed by a fault that its agent did not find`);
      this.#verdicts.add(event.task);
    }
    if (event.outcome === 'declined' && line.begunAt !== undefined) return undefined;
    const wasOpen = line.outcome === undefined;
    // A report stands until the coordinator itself has looked at the image.
    if (!line.reported || event.outcome === 'failed') line.outcome ??= event.outcome;
    const isOver = this.hasFailed(event.task) || this.#isServed(event.task);
    return wasOpen && line.outcome !== undefined && !isOver ? 'again' : undefined;
  }

  /** By an image, or by an attempt that may bring one. */
  #isServed(task: string): boolean {
    return (this.#byTask.get(task) ?? []).some(({ outcome, brought }) => brought || outcome === undefined);
  }

  #isBrought(task: string): boolean {
    return (this.#byTask.get(task) ?? []).some(({ brought }) => brought);
  }

  /** Its agent has found a fault of the build. */
  faulty(name: string): void {
    const line = this.#lines.get(name);
    if (line !== undefined) line.isFaulty = true;
  }

  /** Whether what was seen of its attempts is enough to give the task up. */
  hasFailed(task: string): boolean {
    const lines = this.#byTask.get(task) ?? [];
    if (lines.some(({ brought }) => brought)) return false;
    return this.#verdicts.has(task) || lines.filter(isTry).length >= triesOfATask;
  }

  /** Attempts that were given up, and may come back. */
  givenUp(task: string): Iterable<{ readonly name: string; readonly agent: string }> {
    const lines = this.#byTask.get(task) ?? [];
    return lines.filter(({ outcome }) => outcome === 'lost' || outcome === 'declined');
  }

  /** Milliseconds, by the coordinator's clock. */
  workedFor(task: string, at: number): number {
    const lines = this.#byTask.get(task) ?? [];
    return lines.reduce(
      (sum, { begunAt, endedAt }) => sum + (begunAt === undefined ? 0 : (endedAt ?? at) - begunAt),
      0,
    );
  }

  #release(task: string): void {
    for (const { name } of this.#byTask.get(task) ?? []) this.#leases.delete(name);
  }

  agentOf(name: string): string {
    return this.#lines.get(name)?.agent ?? '';
  }

  isStored(name: string): boolean {
    return this.#lines.has(name);
  }

  asked(name: string): void {
    if (this.#asked.has(name)) throw new Violation('once', `the image of ${name} was asked for twice`);
    this.#asked.add(name);
  }

  forgetAsked(): void {
    this.#asked.clear();
  }

  pushed(name: string, digest: string): void {
    const line = this.#lines.get(name);
    if (line === undefined) throw new Violation('unknown', `${name} was pushed, and never offered`);
    line.digest = digest;
    this.#byDigest.set(digest, line);
  }

  verified(name: string): void {
    const line = this.#lines.get(name);
    if (line !== undefined) line.verified = true;
  }

  /** Of a verified image that an attempt of this very build pushed. */
  platformOf(build: string, digest: string): string {
    const line = this.#byDigest.get(digest);
    if (line === undefined || !line.task.startsWith(`${build}/`))
      throw new Violation('list', `${build} would publish ${digest}, which it did not build`);
    if (!line.verified)
      throw new Violation('list', `${build} would publish ${digest}, which is not verified`);
    return line.task.slice(build.length + 1);
  }

  frame(name: string, frame: number): void {
    const line = this.#lines.get(name);
    if (line === undefined) throw new Violation('unknown', `a frame of ${name}, which nobody offered`);
    if (frame !== line.lastFrame + 1)
      throw new Violation('log', `frame ${frame} of ${name} was written after frame ${line.lastFrame}`);
    line.lastFrame = frame;
  }
}

/** A declined offer is none. */
function isTry({ outcome }: Line): boolean {
  return outcome !== undefined && outcome !== 'declined';
}

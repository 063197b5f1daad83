/** Whether a build may end as it does: what was seen of it must be reason enough. */
import type { AttemptBook } from './attempt-book.ts';
import type { Expected } from './seen.ts';
import type { TagBook } from './tag-book.ts';
import { Violation } from './violation.ts';
import type { WaitBook } from './wait-book.ts';

interface Ending extends Expected {
  readonly cancelled: boolean;
  /** The registry refused it for good. */
  readonly refused: boolean;
}

export class Endings {
  readonly #attempts: AttemptBook;
  readonly #waits: WaitBook;
  readonly #tags: TagBook;

  constructor(attempts: AttemptBook, waits: WaitBook, tags: TagBook) {
    this.#attempts = attempts;
    this.#waits = waits;
    this.#tags = tags;
  }

  /** Whatever it was asked for and does not publish has a reason. */
  mayPublish(
    build: Ending,
    { platforms, tags }: { platforms: readonly string[]; tags: readonly string[] },
  ): void {
    for (const platform of build.platforms) {
      if (!platforms.includes(platform) && !this.#hasFailed(build, platform))
        throw new Violation('reason', `${build.id}/${platform} is left out, and nothing was seen of why`);
    }
    this.#mayLeave(build, tags);
  }

  mayEnd(build: Ending, { status, tags }: { status: string; tags: readonly string[] }): void {
    if (status === 'succeeded') {
      this.#mayLeave(build, tags);
      return this.#tags.mustShow(tags, { build: build.id, sequence: build.sequence });
    }
    this.#tags.mustNotShow(build.id);
    if (status === 'superseded') this.#mayLeave(build, []);
    if (status === 'cancelled' && !build.cancelled)
      throw new Violation('reason', `nobody cancelled ${build.id}`);
    if (status === 'failed' && !build.refused) this.#mayFail(build);
    return undefined;
  }

  #mayLeave(build: Ending, tags: readonly string[]): void {
    for (const tag of build.tags) if (!tags.includes(tag)) this.#tags.mayLeave(tag, build);
  }

  /** For a platform that it cannot go without, or for want of any. */
  #mayFail(build: Ending): void {
    const failed = build.platforms.filter((platform) => this.#hasFailed(build, platform));
    if (failed.some((platform) => !build.optional.includes(platform))) return;
    if (failed.length < build.platforms.length)
      throw new Violation('reason', `${build.id} failed, and nothing was seen of why`);
  }

  #hasFailed({ id }: Ending, platform: string): boolean {
    return this.#attempts.hasFailed(`${id}/${platform}`) || this.#waits.isAbandoned(`${id}/${platform}`);
  }
}

/** Which progress of each attempt has been written: an agent sends again what was not acknowledged before a cut. */
import { formatAttempt, type AttemptId } from '../../shared/attempt.ts';

export class ReceivedFrames {
  readonly #byBuild = new Map<string, Map<string, number>>();

  /** The last frame written; undefined when this process has seen none of the attempt. */
  last(attempt: AttemptId): number | undefined {
    return this.#byBuild.get(attempt.build)?.get(formatAttempt(attempt));
  }

  note(attempt: AttemptId, frame: number): void {
    const attempts = this.#byBuild.get(attempt.build) ?? new Map<string, number>();
    this.#byBuild.set(attempt.build, attempts);
    attempts.set(formatAttempt(attempt), frame);
  }

  forget(build: string): void {
    this.#byBuild.delete(build);
  }
}

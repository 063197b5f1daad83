/**
 * Which progress of each attempt came to this process: a report may come only after it. What a log has of an attempt
 * from before says nothing of that, as a power cut may have taken the end of it.
 */
import { formatAttempt, type AttemptId } from '../../shared/attempt.ts';

export class ReceivedFrames {
  readonly #byBuild = new Map<string, Map<string, number>>();

  /** The last frame that came; undefined when this process has seen none of the attempt. */
  last(attempt: AttemptId): number | undefined {
    return this.#byBuild.get(attempt.build)?.get(formatAttempt(attempt));
  }

  note(attempt: AttemptId, frame: number): void {
    const attempts = this.#byBuild.get(attempt.build) ?? new Map<string, number>();
    this.#byBuild.set(attempt.build, attempts);
    // After a cut the agent sends again what was not acknowledged.
    const name = formatAttempt(attempt);
    attempts.set(name, Math.max(frame, attempts.get(name) ?? 0));
  }

  forget(build: string): void {
    this.#byBuild.delete(build);
  }
}

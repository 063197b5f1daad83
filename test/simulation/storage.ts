/** What outlives the coordinator: events of unfinished builds, what has ended, and the frames of logs. */
import type { DurableEvent } from '../../coordinator/farm/events.ts';
import type { Drain } from '../../coordinator/farm/standing.ts';
import { tagKey } from '../../coordinator/registry/spelling.ts';
import { buildOf } from '../../coordinator/store/store.ts';
import type { BuildResult } from '../../shared/progress.ts';

export class Storage {
  /** Keys of tags, and the highest sequence that published each. */
  readonly published = new Map<string, number>();
  /** By agent: who told it to take no new work. */
  readonly drained = new Map<string, Drain>();
  readonly statuses: Record<string, number> = {};
  readonly #events = new Map<DurableEvent, string>();
  readonly #sequences = new Map<string, number>();
  readonly #ended = new Set<string>();
  readonly #frames = new Map<string, number>();

  get events(): Iterable<DurableEvent> {
    return this.#events.keys();
  }

  /** Builds that have not ended. */
  get open(): number {
    return this.#sequences.size - this.#ended.size;
  }

  has(build: string): boolean {
    return this.#sequences.has(build);
  }

  append(event: DurableEvent): void {
    const build = buildOf(event);
    if (this.#ended.has(build)) return;
    if (event.type === 'submitted') this.#sequences.set(build, event.build.sequence);
    this.#events.set(event, build);
  }

  /** False for a frame that is there already. */
  appendFrame(attempt: string, frame: number): boolean {
    if (frame <= (this.#frames.get(attempt) ?? 0)) return false;
    this.#frames.set(attempt, frame);
    return true;
  }

  finish({ build, status, tags }: BuildResult): void {
    this.#ended.add(build);
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    for (const [event, of] of this.#events) if (of === build) this.#events.delete(event);
    if (status !== 'succeeded') return;
    const sequence = this.#sequences.get(build) ?? 0;
    for (const tag of tags.map(tagKey))
      this.published.set(tag, Math.max(sequence, this.published.get(tag) ?? 0));
  }
}

/** A store that lives as long as its process: for tests, and for a build without a server. */
import type { BuildResult } from '../../shared/progress.ts';
import type { DurableEvent } from '../farm/events.ts';
import { buildOf } from './store.ts';
import type { ListOptions, Saved, Store } from './store.ts';

interface Entry {
  readonly sequence: number;
  result: BuildResult | undefined;
}

export class MemoryStore implements Store {
  readonly #builds = new Map<string, Entry>();
  readonly #keys = new Map<string, string>();
  readonly #published = new Map<string, number>();
  #events: DurableEvent[] = [];

  load(): Promise<Saved> {
    const entries = [...this.#builds.values()];
    return Promise.resolve({
      events: [...this.#events],
      sequence: Math.max(0, ...entries.map((entry) => entry.sequence)),
      published: new Map(this.#published),
    });
  }

  append(events: readonly DurableEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'submitted') {
        const { id, sequence, idempotencyKey } = event.build;
        this.#builds.set(id, { sequence, result: undefined });
        if (idempotencyKey !== undefined) this.#keys.set(idempotencyKey, id);
      }
      const entry = this.#builds.get(buildOf(event));
      if (entry !== undefined && entry.result === undefined) this.#events.push(event);
    }
    return Promise.resolve();
  }

  finish(result: BuildResult): Promise<void> {
    const entry = this.#builds.get(result.build);
    if (entry === undefined || entry.result !== undefined) return Promise.resolve();
    entry.result = result;
    this.#events = this.#events.filter((event) => buildOf(event) !== result.build);
    if (result.status === 'succeeded') {
      for (const tag of result.tags) {
        this.#published.set(tag, Math.max(entry.sequence, this.#published.get(tag) ?? 0));
      }
    }
    return Promise.resolve();
  }

  builds({ limit, before, status }: ListOptions): Promise<BuildResult[]> {
    const results = [...this.#builds.values()].flatMap(({ result }) =>
      result === undefined ? [] : [result],
    );
    const wanted = results.filter(
      (result) =>
        (before === undefined || result.build < before) && (status === undefined || result.status === status),
    );
    return Promise.resolve(wanted.toSorted((a, b) => (a.build < b.build ? 1 : -1)).slice(0, limit));
  }

  build(id: string): Promise<BuildResult | undefined> {
    return Promise.resolve(this.#builds.get(id)?.result);
  }

  find(prefix: string): Promise<string[]> {
    return Promise.resolve([...this.#builds.keys()].filter((id) => id.startsWith(prefix)).slice(0, 2));
  }

  findByIdempotencyKey(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#keys.get(key));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

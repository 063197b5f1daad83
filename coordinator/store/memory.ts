/** A store that lives as long as its process: for tests, and for a build without a server. */
import type { BuildResult } from '../../shared/progress.ts';
import type { DurableEvent, Remains } from '../farm/events.ts';
import type { Drain } from '../farm/standing.ts';
import { tagKey } from '../registry/spelling.ts';
import type { AgentRecord } from '../trust/agent-record.ts';
import { MemoryAuditTable } from './audit-table.ts';
import { MemoryUserTable } from './user-table.ts';
import { buildOf } from './store.ts';
import type { Ended, Expiry, ListOptions, Saved, Store } from './store.ts';

interface Entry {
  readonly sequence: number;
  result: BuildResult | undefined;
  remains: Remains | undefined;
}

export class MemoryStore implements Store {
  readonly audit = new MemoryAuditTable();
  readonly users = new MemoryUserTable();
  readonly #builds = new Map<string, Entry>();
  readonly #keys = new Map<string, string>();
  readonly #published = new Map<string, number>();
  readonly #drained = new Map<string, Drain>();
  readonly #agents = new Map<string, AgentRecord>();
  #events: DurableEvent[] = [];

  load(): Promise<Saved> {
    const entries = [...this.#builds.values()];
    return Promise.resolve({
      events: [...this.#events],
      sequence: Math.max(0, ...entries.map((entry) => entry.sequence)),
      published: new Map(this.#published),
      drained: new Map(this.#drained),
    });
  }

  drain(agent: string, drain: Drain): Promise<void> {
    this.#drained.set(agent, drain);
    return Promise.resolve();
  }

  undrain(agent: string): Promise<void> {
    this.#drained.delete(agent);
    return Promise.resolve();
  }

  agents(): Promise<readonly AgentRecord[]> {
    return Promise.resolve([...this.#agents.values()]);
  }

  keepAgent(record: AgentRecord): Promise<void> {
    this.#agents.set(record.name, record);
    return Promise.resolve();
  }

  append(events: readonly DurableEvent[], ended: readonly Ended[] = []): Promise<void> {
    for (const build of ended) this.#archive(build);
    for (const event of events) {
      if (event.type === 'submitted') {
        const { id, sequence, idempotencyKey } = event.build;
        this.#builds.set(id, { sequence, result: undefined, remains: undefined });
        if (idempotencyKey !== undefined) this.#keys.set(idempotencyKey, id);
      }
      const entry = this.#builds.get(buildOf(event));
      if (entry !== undefined && entry.result === undefined) this.#events.push(event);
    }
    return Promise.resolve();
  }

  remains(id: string): Promise<Remains | undefined> {
    return Promise.resolve(this.#builds.get(id)?.remains);
  }

  publisher(tag: string): Promise<string | undefined> {
    const sequence = this.#published.get(tagKey(tag));
    const found = [...this.#builds].find(([, entry]) => entry.sequence === sequence);
    return Promise.resolve(found?.[0]);
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

  expired({ keep, before, limit }: Expiry): Promise<string[]> {
    const ids = [...this.#builds.keys()].toSorted();
    const newest = Math.max(...[...this.#builds.values()].map((entry) => entry.sequence));
    const isExpired = (id: string, index: number): boolean => id < before || index < ids.length - keep;
    const expired = ids.filter((id, index) => {
      const entry = this.#builds.get(id);
      return entry?.result !== undefined && entry.sequence < newest && isExpired(id, index);
    });
    return Promise.resolve(expired.slice(0, limit));
  }

  forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      if (this.#builds.get(id)?.result !== undefined) this.#builds.delete(id);
    }
    for (const [key, id] of this.#keys) {
      if (!this.#builds.has(id)) this.#keys.delete(key);
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #archive({ result, remains }: Ended): void {
    const entry = this.#builds.get(result.build);
    if (entry === undefined || entry.result !== undefined) return;
    entry.result = result;
    entry.remains = remains;
    this.#events = this.#events.filter((event) => buildOf(event) !== result.build);
    if (result['containerimage.digest'] !== undefined) {
      for (const tag of result.tags.map(tagKey)) {
        this.#published.set(tag, Math.max(entry.sequence, this.#published.get(tag) ?? 0));
      }
    }
  }
}

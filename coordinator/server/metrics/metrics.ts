/** What Prometheus reads of a coordinator at `/metrics`. Counters begin at nothing with each process. */
import { Counter, Registry } from 'prom-client';
import type { StoreUsage } from '../../../shared/context/store-usage.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import type { AgentView } from '../../farm/agent-state.ts';
import type { Traffic } from '../../registry/traffic.ts';
import { addAgentMetrics } from './agent-metrics.ts';
import { AwayAgents, type JoinedSource } from './away-agents.ts';
import { addLoadMetrics, addResultMetrics, type LoadSource } from './build-metrics.ts';
import { HostLabels } from './host-labels.ts';
import { counter, gauge } from './looked-up.ts';
import { addProcessMetrics } from './process-metrics.ts';

export interface FarmSource extends LoadSource {
  agents(): readonly AgentView[];
}

interface Watched {
  readonly farm: FarmSource;
  readonly identities: JoinedSource;
  readonly store: () => StoreUsage;
}

export class Metrics implements Disposable {
  /** To be told of every build that has ended. */
  readonly ended: (result: BuildResult) => void;
  /** To be told of every request to a registry. */
  readonly traffic: Traffic;
  readonly #registry = new Registry();
  readonly #results = addResultMetrics(this.#registry);
  readonly #process = addProcessMetrics(this.#registry);
  #agents: FarmSource['agents'] = () => [];

  constructor() {
    this.ended = this.#results.ended;
    this.traffic = this.#addTraffic();
  }

  /** What is looked at with each scrape. To be called once. */
  watch({ farm, identities, store }: Watched): void {
    const away = new AwayAgents(identities);
    addLoadMetrics(this.#registry, farm);
    addAgentMetrics(this.#registry, { here: () => farm.agents(), away: (here) => away.among(here) });
    this.#agents = () => farm.agents();
    this.#addStore(store);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    for (const { platforms } of this.#agents()) {
      for (const { platform } of platforms) this.#results.offered(platform);
    }
    return this.#registry.metrics();
  }

  [Symbol.dispose](): void {
    this.#process[Symbol.dispose]();
  }

  #addTraffic(): Traffic {
    const registers = [this.#registry];
    const requests = new Counter({
      name: 'archfarm_registry_requests_total',
      help: 'Requests on behalf of a registry, its token server among them; status "none" where no answer came, registry "other" for those that never answered.',
      labelNames: ['registry', 'method', 'status'],
      registers,
    });
    const retries = new Counter({
      name: 'archfarm_registry_retries_total',
      help: 'What a registry could not do at once and was asked again.',
      labelNames: ['registry'],
      registers,
    });
    const labels = new HostLabels();
    return {
      asked(host, method, status) {
        if (status !== undefined) labels.answered(host);
        requests.inc({ registry: labels.of(host), method, status: status ?? 'none' });
      },
      retried: (host) => retries.inc({ registry: labels.of(host) }),
    };
  }

  #addStore(usage: () => StoreUsage): void {
    const add = (kind: typeof gauge, name: string, help: string, key: keyof StoreUsage): void =>
      kind(this.#registry, { name, help }, (tell) => tell({}, usage()[key]));
    add(gauge, 'archfarm_store_bytes', "Size of the coordinator's store of contexts.", 'bytes');
    add(gauge, 'archfarm_store_limit_bytes', 'How large it may grow.', 'maxBytes');
    add(counter, 'archfarm_store_hits_total', 'Contents of contexts that were there.', 'hits');
    add(counter, 'archfarm_store_hit_bytes_total', 'Bytes of those.', 'hitBytes');
    add(counter, 'archfarm_store_misses_total', 'Contents that clients had to send.', 'misses');
    add(counter, 'archfarm_store_miss_bytes_total', 'Bytes of those.', 'missBytes');
  }
}

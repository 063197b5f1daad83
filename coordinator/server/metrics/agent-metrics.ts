/** Agents as they are at the moment of the scrape: what each says of itself, and how many there are for each platform. */
import type { Registry } from 'prom-client';
import type { StoreUsage } from '../../../shared/context/store-usage.ts';
import type { AgentView } from '../../farm/agent-state.ts';
import type { Condition } from './away-agents.ts';
import { counter, gauge } from './looked-up.ts';

export interface AgentSource {
  /** Those that the farm knows. */
  readonly here: () => readonly AgentView[];
  /** Those that have joined and that it has forgotten. */
  readonly away: (here: readonly AgentView[]) => readonly Condition[];
}

export function addAgentMetrics(registry: Registry, { here: agents, away }: AgentSource): void {
  gauge(
    registry,
    {
      name: 'archfarm_agents',
      help: 'Agents that offer a platform, by how they do and by their state.',
      labelNames: ['platform', 'mode', 'state'],
    },
    (tell) => {
      for (const { platforms, state } of all()) {
        for (const { platform, native } of platforms) {
          tell({ platform, mode: native ? 'native' : 'emulated', state }, 1);
        }
      }
    },
  );
  gauge(
    registry,
    {
      name: 'archfarm_agent_info',
      help: 'Release and protocol of an agent; always 1.',
      labelNames: ['agent', 'version', 'protocol'],
    },
    (tell) => {
      for (const { name, version, protocol } of agents()) tell({ agent: name, version, protocol }, 1);
    },
  );
  gauge(
    registry,
    {
      name: 'archfarm_agent_state',
      help: 'State that an agent is in; always 1.',
      labelNames: ['agent', 'state'],
    },
    (tell) => {
      for (const { name, state } of all()) tell({ agent: name, state }, 1);
    },
  );
  of(gauge, 'archfarm_agent_slots', 'Builds that an agent takes at once.', ({ slots }) => slots);
  of(gauge, 'archfarm_agent_busy_slots', 'Slots of an agent that are taken.', ({ busy }) => busy);
  ofStore(gauge, 'archfarm_agent_store_bytes', "Size of an agent's store of contexts.", 'bytes');
  ofStore(counter, 'archfarm_agent_store_hits_total', 'Contents of contexts that an agent had.', 'hits');
  ofStore(counter, 'archfarm_agent_store_hit_bytes_total', 'Bytes of those.', 'hitBytes');
  ofStore(counter, 'archfarm_agent_store_misses_total', 'Contents that an agent had to fetch.', 'misses');
  ofStore(counter, 'archfarm_agent_store_miss_bytes_total', 'Bytes of those.', 'missBytes');

  of(gauge, 'archfarm_agent_memory_bytes', "Memory of an agent's process.", ({ usage }) => usage?.memory);
  of(counter, 'archfarm_agent_cpu_seconds_total', "Processor time of an agent's process.", ({ usage }) =>
    usage === undefined ? undefined : usage.cpu / 1000,
  );
  of(
    gauge,
    'archfarm_agent_event_loop_lag_seconds',
    'How much later than due a timer of an agent ran at most, between its last two beats.',
    ({ usage }) => (usage === undefined ? undefined : usage.lag / 1000),
  );
  ofDisks(
    'archfarm_agent_disk_free_bytes',
    "Free where an agent's engine or the agent keeps its files.",
    'free',
  );
  ofDisks('archfarm_agent_disk_size_bytes', 'Size of those file systems.', 'size');

  function all(): readonly Condition[] {
    const here = agents();
    return [...here, ...away(here)];
  }

  function of(
    kind: typeof gauge,
    name: string,
    help: string,
    value: (agent: AgentView) => number | undefined,
  ): void {
    kind(registry, { name, help, labelNames: ['agent'] }, (tell) => {
      for (const agent of agents()) {
        const known = value(agent);
        if (known !== undefined) tell({ agent: agent.name }, known);
      }
    });
  }

  function ofDisks(name: string, help: string, key: 'free' | 'size'): void {
    gauge(registry, { name, help, labelNames: ['agent', 'path'] }, (tell) => {
      for (const { name: agent, disks = [] } of agents())
        for (const disk of disks) tell({ agent, path: disk.path }, disk[key]);
    });
  }

  function ofStore(kind: typeof gauge, name: string, help: string, key: keyof StoreUsage): void {
    of(kind, name, help, ({ contexts }) => contexts?.[key]);
  }
}

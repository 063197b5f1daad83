/** Agents as they are at the moment of the scrape: what each says of itself, and how many there are for each platform. */
import type { Registry } from 'prom-client';
import type { StoreUsage } from '../../../shared/context/store-usage.ts';
import type { AgentView } from '../../farm/agent-state.ts';
import { counter, gauge } from './looked-up.ts';

export function addAgentMetrics(registry: Registry, agents: () => readonly AgentView[]): void {
  gauge(
    registry,
    {
      name: 'archfarm_agents',
      help: 'Agents that offer a platform, by how they do and by their state.',
      labelNames: ['platform', 'mode', 'state'],
    },
    (tell) => {
      for (const { platforms, state } of agents()) {
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
      for (const { name, state } of agents()) tell({ agent: name, state }, 1);
    },
  );
  of(gauge, 'archfarm_agent_slots', 'Builds that an agent takes at once.', ({ slots }) => slots);
  of(gauge, 'archfarm_agent_busy_slots', 'Slots of an agent that are taken.', ({ busy }) => busy);
  ofStore(gauge, 'archfarm_agent_store_bytes', "Size of an agent's store of contexts.", 'bytes');
  ofStore(counter, 'archfarm_agent_store_hits_total', 'Contents of contexts that an agent had.', 'hits');
  ofStore(counter, 'archfarm_agent_store_hit_bytes_total', 'Bytes of those.', 'hitBytes');
  ofStore(counter, 'archfarm_agent_store_misses_total', 'Contents that an agent had to fetch.', 'misses');
  ofStore(counter, 'archfarm_agent_store_miss_bytes_total', 'Bytes of those.', 'missBytes');

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

  function ofStore(kind: typeof gauge, name: string, help: string, key: keyof StoreUsage): void {
    of(kind, name, help, ({ contexts }) => contexts?.[key]);
  }
}

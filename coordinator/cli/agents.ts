/** `archfarm agents`: the farm's machines. */
import { formatStoreUsage } from '../../shared/context/store-usage.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import type { AgentInfo } from './api-answers.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { formatTable } from './table.ts';

export async function runAgents(global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const agents = await api.agents(global.signal);
  if (global.json) return printJson(agents);
  if (global.quiet) return agents.forEach(({ name }) => print(plainText(name)));
  print(
    await formatTable(
      ['NAME', 'STATE', 'PLATFORMS', 'BUSY', 'CONTEXTS', 'VERSION', 'ALLOWS', 'LABELS'],
      agents.map((agent) => row(agent).map(plainText)),
    ),
  );
  const store = await api.contextStore(global.signal);
  if (store !== undefined) print(`\ncontexts at the coordinator: ${formatStoreUsage(store)}`);
}

function row(agent: AgentInfo): string[] {
  const platforms = agent.platforms.map(({ platform, native }) =>
    native ? platform : `${platform} (emulated)`,
  );
  const labels = Object.entries(agent.labels).map(([key, value]) => `${key}=${value}`);
  return [
    agent.name,
    agent.reason ? `${agent.state}: ${agent.reason}` : agent.state,
    platforms.join(', '),
    `${agent.busy}/${agent.slots}`,
    agent.contexts === undefined ? '' : formatStoreUsage(agent.contexts),
    versionOf(agent),
    agent.policy?.join(', ') ?? 'all',
    labels.join(', '),
  ];
}

function versionOf(agent: AgentInfo): string {
  const { version, protocol } = agent;
  return isOutdated(agent) ? `${version}, protocol ${protocol}: update it` : version;
}

/** Older agents are served, but know less. */
export function isOutdated({ protocol = PROTOCOL_VERSION }: AgentInfo): boolean {
  return protocol < PROTOCOL_VERSION;
}

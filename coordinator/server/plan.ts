/** What would build a build: what `--dry-run` shows of the agents that are there. */
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { refusedBy } from '../../shared/policy.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Plan, PlanRequest } from './api-actions.ts';

type PlannedPlatform = Plan['platforms'][number];

/** Throws `usage` for what is no platform. */
export function planFor(
  all: readonly AgentView[],
  { platforms, allowEmulation, agentLabels = {}, demands = {} }: PlanRequest,
): PlannedPlatform[] {
  const agents = all.filter((agent) => agent.state !== 'offline' && isLabelled(agent, agentLabels));
  const asked = platforms.map((platform) => formatPlatform(parsePlatform(platform)));
  const wanted = asked.length > 0 ? asked : nativePlatforms(agents);
  return wanted.map((platform) => {
    const offering = agents.flatMap(({ name, policy, platforms: offered }) =>
      offered
        .filter((offer) => offer.platform === platform)
        .map(({ native }) => ({
          name,
          native,
          refused: refusedBy(policy, demands[platform] ?? demands['*'] ?? []),
        })),
    );
    const able = offering.filter(({ refused }) => refused.length === 0);
    return {
      platform,
      candidates: able
        .filter(({ native }) => native || allowEmulation)
        .map(({ name, native }) => ({ name, native })),
      emulators: able.filter(({ native }) => !native && !allowEmulation).map(({ name }) => name),
      refusing: offering
        .filter(({ native, refused }) => refused.length > 0 && (native || allowEmulation))
        .map(({ name, refused }) => ({ name, refused })),
    };
  });
}

export function isLabelled({ labels }: AgentView, wanted: BuildSpec['agentLabels']): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/** Of these agents together, sorted. */
export function nativePlatforms(agents: readonly AgentView[]): string[] {
  const native = agents.flatMap(({ platforms }) => platforms.filter((offer) => offer.native));
  return [...new Set(native.map(({ platform }) => platform))].toSorted();
}

/** Which agents have worked on the like of a task before: they have its context, and its steps in their caches. */
import { parseReference } from '../../shared/reference.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Wait } from './roster.ts';

/** Of one agent; the ones not met for longest give way. */
const maxKnown = 1_000;

/** By agent: what it has met, the latest last. A restart begins anew, but for the builds that go on. */
export type Acquaintance = Map<string, Set<string>>;

/** The agent has begun this task. */
export function meet(known: Acquaintance, agent: string, wait: Wait): void {
  const met = known.get(agent) ?? new Set<string>();
  known.set(agent, met);
  for (const key of keysOf(wait)) {
    met.delete(key);
    met.add(key);
  }
  for (const oldest of met) {
    if (met.size <= maxKnown) break;
    met.delete(oldest);
  }
}

/** 0 for a stranger, 1 for one that built this image or had this context, 2 for one that did both. */
export function affinityOf(known: Acquaintance, agent: string, wait: Wait): number {
  const met = known.get(agent);
  return met === undefined ? 0 : keysOf(wait).filter((key) => met.has(key)).length;
}

function keysOf({ build: { spec }, task: { platform } }: Wait): [string, string] {
  return [`context ${spec.context.root}`, `image ${repositoryOf(spec)} ${platform}`];
}

/** Tags change from build to build. */
function repositoryOf({ tags: [first = ''] }: BuildSpec): string {
  const { registry, repository } = parseReference(first);
  return `${registry}/${repository}`;
}

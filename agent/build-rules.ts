/** What the owner of a host lets a build do there, held against what the build asks for. */
import { reasonOf } from '../shared/abort.ts';
import { formatDuration } from '../shared/duration.ts';
import { ArchfarmError } from '../shared/errors.ts';
import { frontendsOf } from '../shared/frontend.ts';
import { allowFlag, demandsOf, describeDemands, refusedBy, type Policy } from '../shared/policy.ts';
import type { Task } from '../shared/task.ts';
import type { JobContext } from './context-link.ts';
import { readDockerfile } from './engine/dockerfile-text.ts';

export interface BuildRules {
  /** Of the agent, for messages. */
  readonly agent: string;
  readonly policy: Policy;
  /** Milliseconds that the engine may take for one build. */
  readonly buildTimeout: number | undefined;
}

interface Ruled {
  readonly rules: BuildRules;
  readonly context: JobContext;
}

/**
 * Throws `policy-refused` naming the policy and this agent. The coordinator knows the policy and asks others; but
 * what a Dockerfile names as its frontend it has from the client.
 */
export async function requireAllowed(
  task: Task,
  { rules: { agent, policy }, context }: Ruled,
  signal: AbortSignal,
): Promise<void> {
  if (policy.includes('all')) return;
  const dockerfile = await readDockerfile(context, { ...task.dockerfile, signal });
  const demands = demandsOf({ ...task, frontends: frontendsOf(dockerfile, task.args) });
  const refused = refusedBy(policy, demands);
  if (refused.length === 0) return;
  throw new ArchfarmError(
    'policy-refused',
    `agent ${agent} does not allow a build ${describeDemands(refused)}`,
    {
      hint: `where its owner trusts this build: archfarm-agent run ${allowFlag(refused)} on ${agent}`,
    },
  );
}

/** Throws `timeout` when the work takes longer than the host's owner lets it. */
export async function withinLimit<T>(
  { agent, buildTimeout }: BuildRules,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (buildTimeout === undefined) return work(signal);
  const limit = AbortSignal.timeout(buildTimeout);
  try {
    return await work(AbortSignal.any([signal, limit]));
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (!limit.aborted) throw error;
    throw new ArchfarmError(
      'timeout',
      `agent ${agent} gives a build ${formatDuration(buildTimeout)}, and it took longer`,
      {
        hint: `make its steps shorter, or raise --build-timeout of archfarm-agent run on ${agent}`,
      },
    );
  }
}

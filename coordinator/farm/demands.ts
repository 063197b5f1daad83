/** What a build asks of the engines that build it, beyond what every agent allows; and who has refused it. */
import { frontendInArguments } from '../../shared/frontend.ts';
import { demandsOf, type Demand } from '../../shared/policy.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { TaskState } from './build-state.ts';

type Asked = Pick<BuildSpec, 'network' | 'extraHosts' | 'ssh' | 'args' | 'dockerfile' | 'perPlatform'>;

/** On one platform. What Dockerfiles name is the client's word: each agent looks for itself. */
export function demandsOn(spec: Asked, platform: string): Demand[] {
  const override = spec.perPlatform?.[platform];
  const { network, extraHosts, ssh } = spec;
  const inArguments = frontendInArguments({ ...spec.args, ...override?.args });
  const { frontend, otherFrontends = [] } = override?.dockerfile ?? spec.dockerfile;
  const frontends = [inArguments, frontend, ...otherFrontends].filter((named) => named !== undefined);
  return demandsOf({ network, extraHosts, ssh, frontends });
}

/** Names of agents that had the task and found in it what their policy refuses. */
export function refusers({ attempts }: TaskState): string[] {
  return attempts.filter(({ error }) => error?.code === 'policy-refused').map(({ agent }) => agent);
}

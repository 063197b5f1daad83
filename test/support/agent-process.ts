/** An agent of a running farm that a test may kill, start again, and reach by a link of its own. */
import * as v from 'valibot';
import { startService, type RunningService } from '../../scripts/rig/service.ts';
import { agentCommand, type FarmProcesses } from './farm-processes.ts';

export interface AgentProcessOptions {
  readonly name: string;
  readonly platform: string;
  /** As DOCKER_HOST takes it. */
  readonly engine: string;
  /** What it dials, if it is not the coordinator itself. */
  readonly coordinator?: string;
  /** Its data directory, if it is not to be below that of the farm. */
  readonly data?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Connected when this resolves. */
export function startAgentProcess(
  farm: Pick<FarmProcesses, 'address' | 'dir' | 'env'>,
  options: AgentProcessOptions,
): Promise<RunningService> {
  const { name, platform, engine, coordinator = farm.address, data = `${farm.dir}/${name}` } = options;
  const flags = ['--coordinator', coordinator, '--name', name, '--platform', platform, '--data', data];
  return startService([process.execPath, agentCommand, 'run', ...flags], {
    log: `${farm.dir}/${name}.log`,
    env: { ...farm.env, ...options.env, DOCKER_HOST: engine },
    ready: () => isReady(farm.address, name),
  });
}

async function isReady(coordinator: string, name: string): Promise<boolean> {
  const answer = await fetch(`http://${coordinator}/v1/agents`).catch(() => undefined);
  if (answer === undefined) return false;
  const { agents } = v.parse(agentList, await answer.json());
  return agents.some((agent) => agent.name === name && agent.state === 'ready');
}

const agentList = v.object({ agents: v.array(v.object({ name: v.string(), state: v.string() })) });

/** Questions to builds of a farm that is being broken. */
import * as v from 'valibot';
import type { BuildResult } from '../../shared/progress.ts';
import { platformOf, type RunningBuild } from './build-command.ts';
import type { Lab } from './chaos-lab.ts';
import { until } from './until.ts';

/** The agent that has this platform now. */
export function agentOf(build: RunningBuild, platform: string): Promise<string> {
  return until(
    () =>
      build
        .frames()
        .findLast(
          (frame) => frame.type === 'state' && frame.state === 'running' && frame.platform === platform,
        )?.agent,
    { timeout: 60_000, what: `${platform} has an agent` },
  );
}

/** `AGENT OUTCOME` of each attempt. */
export function attemptsOf(result: BuildResult, platform: string): string[] {
  return platformOf(result, platform).attempts.map(({ agent, outcome }) => `${agent} ${outcome}`);
}

/** Of two agents. */
export function other(agent: string): string {
  return agent === 'a' ? 'b' : 'a';
}

/** How `archfarm agents` shows it; undefined where it is not listed. */
export async function agentState({ farm }: Lab, name: string): Promise<string | undefined> {
  return (await agentView(farm.address, name))?.state;
}

/** Why an agent takes no work, as users read it. */
export async function agentReason({ farm }: Lab, name: string): Promise<string | undefined> {
  return (await agentView(farm.address, name))?.reason;
}

/** Which it spoke when it last said hello. */
export async function agentProtocol({ farm }: Lab, name: string): Promise<number | undefined> {
  return (await agentView(farm.address, name))?.protocol;
}

interface AgentView {
  readonly state: string;
  readonly protocol: number;
  readonly reason?: string | undefined;
}

async function agentView(coordinator: string, name: string): Promise<AgentView | undefined> {
  const answer = await fetch(`http://${coordinator}/v1/agents`).catch(() => undefined);
  if (answer === undefined) return undefined;
  return v.parse(agentList, await answer.json()).agents.find((agent) => agent.name === name);
}

const agentList = v.object({
  agents: v.array(
    v.object({
      name: v.string(),
      state: v.string(),
      reason: v.optional(v.string()),
      protocol: v.number(),
    }),
  ),
});

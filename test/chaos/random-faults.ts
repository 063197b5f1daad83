/** What may happen to a farm at any time. Each is over when its function returns; the farm then has to recover. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import type { Lab } from '../support/chaos-lab.ts';
import { dropPackets, portOf } from '../support/packets.ts';
import type { Random } from '../support/random.ts';

export interface Setting {
  readonly lab: Lab;
  /** Names of those that it may happen to. */
  readonly agents: readonly string[];
  readonly random: Random;
  /** Milliseconds that anything is away at most; a lease is 4,500 of them. */
  readonly most: number;
}

export type RandomFault = (setting: Setting) => Promise<void>;

export const randomFaults = {
  'an agent is killed': async ({ lab, agents, random, most }) => {
    const { service } = lab.agent(random.pick(agents));
    service.kill('SIGKILL');
    await service.ended;
    await sleep(random.between(0, most));
    await service.restart();
  },
  'an agent stands still': async ({ lab, agents, random, most }) => {
    const { service } = lab.agent(random.pick(agents));
    service.kill('SIGSTOP');
    await sleep(random.between(500, most));
    service.kill('SIGCONT');
  },
  'an agent is restarted': async ({ lab, agents, random }) => {
    await lab.agent(random.pick(agents)).service.restart();
  },
  'a link is cut': async ({ lab, agents, random }) => {
    lab.agent(random.pick(agents)).link.cut();
  },
  'a link is silent': async ({ lab, agents, random, most }) => {
    const direction = random.pick(['to', 'from', 'both'] as const);
    await using _silence = await dropPackets({
      port: portOf(lab.agent(random.pick(agents)).link),
      direction,
    });
    await sleep(random.between(500, most));
  },
  'all links are cut': async ({ lab, agents }) => {
    for (const name of agents) lab.agent(name).link.cut();
  },
  'the coordinator is killed': async ({ lab: { farm }, random, most }) => {
    await farm.killCoordinator();
    await sleep(random.between(0, most));
    await farm.startCoordinator();
  },
  'the coordinator stands still': async ({ lab: { farm }, random, most }) => {
    farm.coordinator.kill('SIGSTOP');
    await sleep(random.between(500, most));
    farm.coordinator.kill('SIGCONT');
  },
  'an engine is killed': async ({ lab, agents, random }) => {
    const { engine } = lab.agent(random.pick(agents));
    await engine.kill('SIGKILL');
    await engine.restart();
  },
  'an engine stands still': async ({ lab, agents, random, most }) => {
    const { engine } = lab.agent(random.pick(agents));
    await engine.kill('SIGSTOP');
    await sleep(random.between(500, most));
    await engine.kill('SIGCONT');
  },
  'the registry fails': async ({ lab, random, most }) => {
    lab.disturb((request, response) => {
      if (Math.random() < 0.5) return false;
      request.resume();
      response.writeHead(503).end();
      return true;
    });
    await sleep(random.between(500, most));
    lab.calm();
  },
  'the registry resets connections': async ({ lab, random, most }) => {
    lab.disturb((request) => {
      if (Math.random() < 0.7) return false;
      request.socket.destroy();
      return true;
    });
    await sleep(random.between(500, most));
    lab.calm();
  },
  'answers of the registry are lost': async ({ lab, random, most }) => {
    lab.disturb((request) => {
      if (request.method !== 'PUT' || Math.random() < 0.5) return false;
      return (answer, response) => {
        answer.resume();
        response.destroy();
      };
    });
    await sleep(random.between(500, most));
    lab.calm();
  },
} as const satisfies Readonly<Record<string, RandomFault>>;

/** The coordinator answers, and all its agents take work. */
export async function isWhole({ farm }: Lab, names: readonly string[]): Promise<boolean> {
  const signal = AbortSignal.timeout(2_000);
  const answer = await fetch(`http://${farm.address}/v1/agents`, { signal }).catch(() => undefined);
  if (answer === undefined) return false;
  const { agents } = v.parse(agentList, await answer.json());
  return names.every((name) => agents.some((agent) => agent.name === name && agent.state === 'ready'));
}

const agentList = v.object({ agents: v.array(v.object({ name: v.string(), state: v.string() })) });

/** What the farm has for each platform, and what waits for it. */
import type { AgentView } from '../../farm/agent-state.ts';
import type { WaitingTask } from './farm.ts';

export interface PlatformShare {
  readonly platform: string;
  /** Agents that build it natively, and those of them that take work. */
  readonly native: number;
  readonly ready: number;
  /** Of those that build it natively; where there are none, of those that emulate it. */
  readonly slots: number;
  readonly busy: number;
  readonly emulated: number;
  readonly waiting: number;
}

/** By name of the platform; also those that only a waiting task knows. */
export function byPlatform(agents: readonly AgentView[], waiting: readonly WaitingTask[]): PlatformShare[] {
  const offered = agents.flatMap(({ platforms }) => platforms.map(({ platform }) => platform));
  const asked = waiting.map(({ task }) => task.platform);
  return [...new Set([...offered, ...asked])].toSorted().map((platform) => {
    const having = (native: boolean): AgentView[] =>
      agents.filter((agent) =>
        agent.platforms.some((offer) => offer.platform === platform && offer.native === native),
      );
    const native = having(true);
    const emulated = having(false);
    const building = native.length > 0 ? native : emulated;
    return {
      platform,
      native: native.length,
      ready: native.filter(isReady).length,
      slots: sum(building.filter(isReady).map(({ slots }) => slots)),
      busy: sum(building.map(({ busy }) => busy)),
      emulated: emulated.length,
      waiting: asked.filter((name) => name === platform).length,
    };
  });
}

function isReady({ state }: AgentView): boolean {
  return state === 'ready';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

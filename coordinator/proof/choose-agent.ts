/** Which agent is to prove an image: one whose host is of that platform, the least busy one first. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { AgentView } from '../farm/agent-state.ts';

export interface Wanted {
  readonly platform: string;
  readonly allowEmulation: boolean;
  /** Those that have just failed for reasons of their own: only where there is nobody else. */
  readonly tired: ReadonlySet<string>;
  /** Proofs that an agent has now. */
  readonly proofsOf: (agent: string) => number;
}

export type Choice =
  | { readonly type: 'agent'; readonly name: string; readonly native: boolean }
  /** There are some, and each has as many proofs as slots. */
  | { readonly type: 'busy' }
  | { readonly type: 'none' };

/** Of agents that are ready, and know proofs. */
export function chooseAgent(agents: readonly AgentView[], wanted: Wanted): Choice {
  const { platform, allowEmulation, tired, proofsOf } = wanted;
  const offering = (native: boolean): AgentView[] =>
    agents.filter(({ platforms }) =>
      platforms.some((offer) => offer.platform === platform && offer.native === native),
    );
  const native = offering(true);
  const able = native.length > 0 || !allowEmulation ? native : offering(false);
  if (able.length === 0) return { type: 'none' };
  const free = able.filter(({ name, slots }) => proofsOf(name) < Math.max(1, slots));
  const load = ({ name, slots, busy }: AgentView): number => (proofsOf(name) + busy) / Math.max(1, slots);
  const [best] = free.toSorted(
    (a, b) =>
      Number(tired.has(a.name)) - Number(tired.has(b.name)) ||
      load(a) - load(b) ||
      (a.name < b.name ? -1 : 1),
  );
  if (best === undefined) return { type: 'busy' };
  return { type: 'agent', name: best.name, native: native.length > 0 };
}

/** Why there is none, and what to do about it. `agents` are all that are known, and `proves` those that could. */
export function noAgent(
  platform: string,
  { agents, proves }: { readonly agents: readonly AgentView[]; readonly proves: (agent: string) => boolean },
): ArchfarmError {
  const offers = (native: boolean): AgentView | undefined =>
    agents.find(({ platforms }) =>
      platforms.some((offer) => offer.platform === platform && offer.native === native),
    );
  const host = offers(true);
  const emulator = offers(false);
  const message = `no agent for ${platform} can run it`;
  if (host !== undefined) {
    const old = host.state === 'ready' && !proves(host.name);
    const why = old
      ? `agent ${host.name} (${host.version}) is too old for that`
      : `agent ${host.name} is ${host.state}${host.reason === undefined ? '' : `: ${host.reason}`}`;
    return new ArchfarmError('no-agent', `${message}: ${why}`, {
      hint: old ? 'update it to the version of the coordinator' : 'see archfarm agents',
    });
  }
  const hint =
    emulator === undefined
      ? `start archfarm-agent on a ${platform} host`
      : `agent ${emulator.name} emulates ${platform}: --allow-emulation lets it run the image, which then proves less`;
  return new ArchfarmError('no-agent', message, { hint });
}

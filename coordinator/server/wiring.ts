/** How the parts of a coordinator reach each other: what the farm decides, what agents say, where sockets go. */
import type { WebSocket } from 'ws';
import { attemptFields, parseAttempt } from '../../shared/attempt.ts';
import { givesPieces } from '../../shared/context/gives-pieces.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { maskedError, maskedEvent } from '../../shared/mask/masked.ts';
import type { Contexts } from '../context/contexts.ts';
import type { SessionServices } from '../farm/agent-session.ts';
import type { Effect } from '../farm/events.ts';
import type { EffectHandlers, Farm } from '../farm/farm.ts';
import type { AgentPool } from '../farm/pool.ts';
import { taskOf } from '../farm/task.ts';
import { subjectFields } from '../log-fields.ts';
import type { Notifications } from '../notify/notifications.ts';
import type { BuildProofs } from '../proof/build-proofs.ts';
import type { Proofs } from '../proof/proofs.ts';
import type { Registries } from '../registry/registries.ts';
import type { FrameLog } from '../store/frames.ts';
import { buildOf } from '../store/store.ts';
import { access, requireOwn } from '../trust/access.ts';
import type { Audit } from '../trust/audit.ts';
import { scopedTo } from '../trust/principal.ts';
import type { AgentParts } from './agent-actions.ts';
import { answer } from './answers.ts';
import type { FarmFeed } from './farm-feed.ts';
import type { BasePulls } from './base-pulls.ts';
import type { Preflight } from './preflight.ts';
import type { Publisher } from './publisher.ts';
import type { ReceivedFrames } from './received-frames.ts';
import type { Secrets } from './secrets.ts';
import type { SshTunnels } from './ssh-tunnels.ts';
import { tokenRefusal, type TokenAgentRules } from './token-agents.ts';
import type { UpgradeRoutes, Visit } from './upgrade.ts';

export interface Parts
  extends Pick<AgentParts, 'identities' | 'connections' | 'pin'>, Pick<TokenAgentRules, 'tokenAgents'> {
  readonly farm: Farm;
  readonly pool: AgentPool;
  readonly contexts: Contexts;
  readonly frames: FrameLog;
  readonly feed: FarmFeed;
  readonly received: ReceivedFrames;
  readonly publisher: Publisher;
  readonly registries: Registries;
  readonly proofs: Proofs;
  readonly buildProofs: BuildProofs;
  readonly preflight: Preflight;
  readonly secrets: Secrets;
  readonly basePulls: BasePulls;
  readonly tunnels: SshTunnels;
  readonly audit: Audit;
  readonly notifications: Notifications | undefined;
  readonly log: Logger;
}

type Notice = Omit<Extract<Effect, { type: 'notify' }>, 'type'>;

/** The farm and its agents know each other through here, so the parts are asked for when something happens. */
type Later = () => Parts;

export function effectHandlers(parts: Later): EffectHandlers {
  return {
    offer({ attempt, agent, session }) {
      const { farm, pool, contexts } = parts();
      const spec = farm.spec(attempt.build);
      if (spec === undefined) return;
      const task = { ...taskOf(spec, attempt), contextLimits: contexts.limits };
      pool.offer(attempt, { agent, session }, task);
    },
    cancel: ({ attempt, agent, reason }) => parts().pool.cancel(attempt, agent, reason),
    settle: ({ attempt, agent }) => parts().pool.settle(attempt, agent),
    verify: (effect) => parts().publisher.verify(parts().farm, effect),
    publish: (effect) => parts().publisher.publish(parts().farm, effect),
    prove: (effect) => parts().buildProofs.prove(parts().farm, effect),
    notify({ build, platform, agent, event }) {
      const { frames, contexts, notifications, log } = parts();
      log.info(stateFields({ build, platform, agent, event }), event.state);
      frames.append(build, { platform, agent, events: [event] });
      contexts.changed(build);
      if (platform === undefined) notifications?.state(build, event.state, event.time);
    },
    finished({ build, result }) {
      const { farm, frames, feed, secrets, basePulls, contexts, received, publisher, notifications } =
        parts();
      publisher.forget(build);
      frames.append(build, { events: [{ type: 'result', time: farm.now, result }] });
      feed.ended(result);
      secrets.forget(build);
      basePulls.forget(build);
      contexts.release(build);
      received.forget(build);
      notifications?.ended(result);
    },
    trouble: (error, about) =>
      parts().log.error({ ...subjectFields(about), err: error }, 'the farm could not do something'),
  };
}

/** What came to a new state, by all that somebody may search for. */
function stateFields({ build, platform, agent, event }: Notice): object {
  const { attempt: number, native, reason, error } = event;
  const about = { agent, native, reason, error };
  if (platform === undefined) return { build, ...about };
  if (number === undefined) return { build, task: platform, ...about };
  return { ...attemptFields({ build, platform, number }), ...about };
}

export function sessionServices(parts: Later): SessionServices {
  return {
    now: () => parts().farm.now,
    record(event) {
      const { farm, contexts, secrets } = parts();
      const build = buildOf(event);
      farm.note({ type: 'context-sent', at: farm.now, build, bytes: contexts.receivedBytes(build) });
      const mask = secrets.maskOf(build);
      if (event.type !== 'failed' || mask === undefined) return farm.record(event);
      return farm.record({ ...event, error: maskedError(event.error, mask) });
    },
    note: (event) => parts().farm.note(event),
    isOpen: (attempt, agent) => parts().farm.wants(attempt, agent),
    mayAsk: (attempt, agent) => parts().farm.counts(attempt, agent),
    append(attempt, { agent, frame, events }) {
      const { received, frames, farm, secrets } = parts();
      const { build, platform, number } = attempt;
      // The agent has done so, where it is not of an older version.
      const mask = secrets.maskOf(build);
      const masked = mask === undefined ? events : events.map((event) => maskedEvent(event, mask));
      // A sign of life is one even where the disk is full.
      farm.note({ type: 'alive', at: farm.now, attempt });
      frames.append(build, { platform, agent, message: { attempt: number, frame }, events: masked });
      // One that has ended was forgotten, and nobody waits for the rest of it.
      if (farm.isOpen(build)) received.note(attempt, frame);
    },
    selected: (attempt, tree, selection) => parts().contexts.selected(attempt, tree, selection),
    proved: (proof, outcome) => parts().proofs.ended(proof, outcome),
    lastFrame: (attempt) => parts().received.last(attempt),
    answer(attempt, question, signal) {
      const { registries, secrets, basePulls, farm, publisher } = parts();
      const wanted = farm.spec(attempt.build);
      if (question.kind === 'push-auth' && wanted !== undefined) publisher.expect(attempt.build, wanted);
      return answer(
        { attempt, question },
        { registries, secrets, basePulls, spec: (build) => farm.spec(build) },
        signal,
      );
    },
  };
}

export function upgradeRoutes(parts: Parts): UpgradeRoutes {
  const { pool, contexts, farm, tunnels, identities } = parts;
  return {
    check(verb, { principal, query }) {
      const refusal =
        access[verb].needs === 'agent' && principal.type !== 'agent'
          ? tokenRefusal(parts, query.get('agent') ?? undefined)
          : undefined;
      if (refusal !== undefined) throw refusal;
      const id = query.get('build');
      if (id === null) return;
      requireOwn(principal, verb, { build: id, client: farm.clientOf(id) });
    },
    agent: (socket, visit) => pool.join(socket, visit),
    agentContext(socket, visit) {
      const agent = agentOf(visit);
      if (visit.principal.type !== 'agent') holdByName(parts, agent, socket);
      contexts.serveAgent(socket, { agent, builds: () => farm.buildsOn(agent) });
    },
    async agentSsh({ query, principal }) {
      const attempt = parseAttempt(query.get('attempt') ?? '');
      const id = query.get('id') ?? '';
      const isOpen = attempt !== undefined && farm.spec(attempt.build)?.ssh.includes(id) === true;
      const holder = isOpen ? farm.holder(attempt) : undefined;
      const isTheirs =
        principal.type === 'agent' ? holder === principal.name : !identities.isTaken(holder ?? '');
      if (isOpen && holder !== undefined && isTheirs) {
        const socket = await tunnels.open(attempt.build, id);
        if (principal.type !== 'agent') holdByName(parts, holder, socket);
        // The client may have taken its time.
        if (farm.holder(attempt) === holder) return socket;
        socket.terminate();
      }
      throw new ArchfarmError('not-found', 'no build that goes on has this ssh agent');
    },
    clientContext: (socket, { query, principal }) =>
      contexts.link(socket, {
        id: scopedTo(principal, query.get('link') ?? ''),
        build: query.get('build') ?? undefined,
        givesPieces: query.get(givesPieces.query) === givesPieces.value,
      }),
    clientSsh: (socket, { query }) =>
      tunnels.listen(query.get('build') ?? '', (query.get('ids') ?? '').split(','), socket),
    clientTunnel: (socket, { query }) => tunnels.arrived(query.get('tunnel') ?? '', socket),
  };
}

/** Whoever has joined is called by its certificate, and nobody else by what it says. */
function agentOf({ principal, query }: Visit): string {
  return principal.type === 'agent' ? principal.name : (query.get('agent') ?? '');
}

/** It ends with its agent, which has no identity of its own. */
function holdByName({ connections }: Parts, name: string, socket: WebSocket): void {
  socket.once(
    'close',
    connections.hold({ type: 'token', name }, () => socket.terminate()),
  );
}

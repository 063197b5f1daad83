/** The agents that are connected: who may join, and which connection an offer or a cancel goes to. */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { formatAttempt, type AttemptId } from '../../shared/attempt.ts';
import { Channel } from '../../shared/channel.ts';
import { decodeToCoordinator, versionOfHello } from '../../shared/codec.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import {
  closeCodes,
  PROOFS_SINCE,
  PROTOCOL_VERSION,
  SERVED_VERSIONS,
  type Hello,
  type ToAgent,
  type ToCoordinator,
} from '../../shared/messages.ts';
import { agentPace } from '../../shared/pace.ts';
import type { ProofOrder } from '../../shared/proof.ts';
import type { Task } from '../../shared/task.ts';
import type { Timers } from '../../shared/timers.ts';
import { version } from '../../shared/version.ts';
import type { Identities } from '../trust/identities.ts';
import type { JoinedAgent, Visitor } from '../trust/principal.ts';
import type { Alarm, SecurityEvent } from '../trust/security-event.ts';
import { AgentSession, type SessionServices } from './agent-session.ts';

export interface PoolOptions {
  readonly timers: Timers;
  readonly log: Logger;
  readonly services: SessionServices;
  readonly identities: Pick<Identities, 'isTaken' | 'limitsOf'>;
  /** Why an agent of this name may not come without one. */
  readonly tokenRefusal: (name: string) => ArchfarmError | undefined;
  readonly alarm: Alarm;
}

interface Member {
  readonly hello: Hello;
  readonly channel: Channel<ToCoordinator, ToAgent>;
  readonly session: AgentSession;
  readonly byToken: boolean;
}

/** For the close of its connection: at most 123 bytes. */
const joinFirst =
  'agents join this farm by certificate now: archfarm agents add NAME, or serve --token-agents';

export class AgentPool {
  readonly #options: PoolOptions;
  readonly #members = new Map<string, Member>();
  readonly #connections = new Set<Channel<ToCoordinator, ToAgent>>();
  readonly #first = new AbortController();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Takes over a socket that passed authentication; it must say hello first, and soon. */
  join(socket: WebSocket, visitor: Visitor): void {
    const { from } = visitor;
    const { timers, log } = this.#options;
    let member: Member | undefined;
    const channel = new Channel<ToCoordinator, ToAgent>(socket, {
      decode: (frame) => {
        if (member === undefined) this.#checkVersion(frame, channel);
        return decodeToCoordinator(frame);
      },
      pace: { limits: agentPace, isOutput: ({ type }) => type === 'progress' },
      heard: () => member?.session.heard(),
      message: (message) => {
        if (member !== undefined) return member.session.handle(message);
        if (message.type !== 'hello')
          return channel.close(closeCodes.malformed, `${message.type} before hello`);
        clearTimeout(late);
        member = this.#admit(message, channel, visitor);
        return undefined;
      },
      closed: (code, reason) => {
        clearTimeout(late);
        this.#connections.delete(channel);
        if (member === undefined) {
          log.warn({ from, code, reason }, 'connection closed before an agent joined');
          return;
        }
        const { hello, session } = member;
        const replaced = this.#members.get(hello.name) !== member;
        if (!replaced) this.#members.delete(hello.name);
        log.info({ agent: hello.name, code, reason, replaced }, 'agent disconnected');
        session.closed({ replaced });
      },
    });
    const late = setTimeout(() => channel.close(closeCodes.malformed, 'no hello'), timers.hello);
    this.#connections.add(channel);
  }

  offer(attempt: AttemptId, to: { agent: string; session: string }, task: Task): void {
    this.#send(to, { type: 'offer', attempt: formatAttempt(attempt), task });
  }

  cancel(attempt: AttemptId, agent: string, reason: string): void {
    this.#members.get(agent)?.channel.send({ type: 'cancel', attempt: formatAttempt(attempt), reason });
  }

  settle(attempt: AttemptId, agent: string): void {
    this.#members.get(agent)?.channel.send({ type: 'settle', attempt: formatAttempt(attempt) });
  }

  /** Whether this agent is connected, and knows what a proof is. */
  proves(agent: string): boolean {
    return (this.#members.get(agent)?.hello.protocol ?? 0) >= PROOFS_SINCE;
  }

  /** Gives what aborts when the connection that the proof was asked over has ended. */
  prove(proof: string, agent: string, order: ProofOrder): AbortSignal {
    const member = this.#members.get(agent);
    member?.channel.send({ type: 'prove', proof, order });
    return member?.session.closedSignal ?? AbortSignal.abort();
  }

  /** Milliseconds since a byte came from it; none of an agent that is not connected. */
  silence(agent: string): number {
    const member = this.#members.get(agent);
    return member === undefined ? Infinity : this.#options.services.now() - member.session.heardAt;
  }

  stopProof(proof: string, agent: string): void {
    if (this.proves(agent)) this.#members.get(agent)?.channel.send({ type: 'stop-proof', proof });
  }

  /** Resolves when an agent is there, or was. */
  async joined(): Promise<void> {
    if (!this.#first.signal.aborted) await once(this.#first.signal, 'abort');
  }

  /** Ends the connection of an agent that was removed, at once: nothing more of it is heard. */
  expel(agent: string): void {
    this.#end(agent, closeCodes.revoked, `agent ${agent} was removed from this farm`);
  }

  /** Names of those that are here without a certificate. */
  byToken(): string[] {
    return [...this.#members].flatMap(([name, { byToken }]) => (byToken ? [name] : []));
  }

  /** Ends the connection of an agent that came without a certificate and needs one now; what it has it is to give up. */
  dismiss(agent: string, work: readonly AttemptId[]): void {
    for (const attempt of work) this.cancel(attempt, agent, joinFirst);
    this.#end(agent, closeCodes.certificate, joinFirst);
  }

  /** Agents dial again by themselves. */
  close(): void {
    for (const channel of this.#connections) channel.close(closeCodes.restart, 'the coordinator stops');
  }

  #end(agent: string, code: number, reason: string): void {
    const member = this.#members.get(agent);
    if (member === undefined) return;
    this.#members.delete(agent);
    member.channel.close(code, reason);
    member.session.closed({ replaced: false });
  }

  #send(to: { agent: string; session: string }, message: ToAgent): void {
    const member = this.#members.get(to.agent);
    if (member?.hello.session === to.session) member.channel.send(message);
  }

  /** Before the rest is looked at: the hello of another version may have other fields. */
  #checkVersion(frame: Buffer, channel: Channel<ToCoordinator, ToAgent>): void {
    const spoken = versionOfHello(frame);
    if (spoken === undefined || SERVED_VERSIONS.includes(spoken)) return;
    const served = SERVED_VERSIONS.join(' and ');
    const reason = `agent speaks protocol ${spoken}, coordinator ${version} speaks ${served}`;
    channel.close(closeCodes.version, reason);
    throw new ArchfarmError('protocol', reason);
  }

  #admit(
    said: Hello,
    channel: Channel<ToCoordinator, ToAgent>,
    { principal, from }: Visitor,
  ): Member | undefined {
    const { timers, log, services, identities } = this.#options;
    const joined = principal.type === 'agent' ? principal : undefined;
    const foreign = this.#foreignName(said.name, joined);
    if (foreign !== undefined) {
      this.#refuse(channel, { type: 'agent-name-refused', agent: said.name, from }, foreign);
      return undefined;
    }
    if (joined === undefined && this.#options.tokenRefusal(said.name) !== undefined) {
      // Another one has joined since this one was let in.
      channel.close(closeCodes.certificate, joinFirst);
      return undefined;
    }
    const { platforms } = identities.limitsOf(said.name);
    const isOffered = ({ platform }: { platform: string }): boolean =>
      joined === undefined || platforms.length === 0 || platforms.includes(platform);
    const hello = { ...said, platforms: said.platforms.filter(isOffered) };
    const earlier = this.#members.get(hello.name);
    if (earlier !== undefined) {
      const silent = services.now() - earlier.session.heardAt;
      if (earlier.hello.session !== hello.session && silent < timers.suspect) {
        const why = `an agent named ${hello.name} is connected; give this one another --name`;
        this.#refuse(
          channel,
          { type: 'duplicate-agent', agent: hello.name, from },
          { code: closeCodes.duplicate, why },
        );
        return undefined;
      }
      // The same process over a new connection, or one whose host is gone: the old socket just does not know yet.
      this.#members.delete(hello.name);
      earlier.channel.terminate();
    }
    channel.send({
      type: 'welcome',
      protocol: Math.min(hello.protocol, PROTOCOL_VERSION),
      version,
      heartbeat: timers.heartbeat,
      lost: timers.lost,
    });
    const session = new AgentSession({
      hello,
      repositories: joined?.repositories ?? [],
      channel,
      services,
      log: log.child({ agent: hello.name }),
    });
    const member = { hello, channel, session, byToken: joined === undefined };
    this.#members.set(hello.name, member);
    log.info(
      { agent: hello.name, version: hello.version, platforms: hello.platforms, slots: hello.slots },
      'agent connected',
    );
    if (hello.protocol < PROTOCOL_VERSION) {
      const { protocol } = hello;
      log.warn(
        { agent: hello.name, version: hello.version, protocol, current: PROTOCOL_VERSION },
        'an agent of an older protocol: it is served, but update archfarm-agent on its host',
      );
    }
    session.start();
    this.#first.abort();
    return member;
  }

  /** What is wrong with a name, if it is not the agent's to use. */
  #foreignName(name: string, joined: JoinedAgent | undefined): Refusal | undefined {
    if (joined !== undefined) {
      if (joined.name === name) return undefined;
      return { code: closeCodes.revoked, why: `its certificate is for ${joined.name} and not for ${name}` };
    }
    if (!this.#options.identities.isTaken(name)) return undefined;
    return { code: closeCodes.revoked, why: `${name} is known here by its certificate alone` };
  }

  #refuse(channel: Channel<ToCoordinator, ToAgent>, event: SecurityEvent, { code, why }: Refusal): void {
    this.#options.log.warn({ agent: event.agent, from: event.from, reason: why }, 'an agent was refused');
    this.#options.alarm(event);
    channel.close(code, why);
  }
}

interface Refusal {
  readonly code: number;
  readonly why: string;
}

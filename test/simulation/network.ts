/**
 * Connections between agents and the coordinator that lose, repeat, reorder and delay what they carry. As over TCP,
 * a connection that loses what must arrive does not outlive the loss, and the frames of a log keep their order.
 */
import type { SimulatedAgent } from './agent.ts';
import type { FromAgent, ToAgent } from './messages.ts';
import type { World } from './world.ts';

export interface Connection {
  readonly agent: SimulatedAgent;
  readonly session: string;
  /** Each side learns for itself that it is over. */
  agentOpen: boolean;
  coordinatorOpen: boolean;
  /** Nothing of what is kept in order arrives before this. */
  orderedUp: number;
  orderedDown: number;
  lossy: boolean;
}

export interface CoordinatorEnd {
  readonly listening: boolean;
  hear(connection: Connection, message: FromAgent): void;
  closed(connection: Connection): void;
}

type Direction = 'up' | 'down';

/** What may get lost alone: its sender or receiver notices by itself. */
const droppable: ReadonlySet<string> = new Set(['offer', 'accept', 'decline', 'beat']);

export class Network {
  readonly #world: World;
  readonly #coordinator: CoordinatorEnd;
  readonly #connections = new Set<Connection>();
  /** Until when nothing passes, by agent. */
  readonly #blocked = { up: new Map<SimulatedAgent, number>(), down: new Map<SimulatedAgent, number>() };

  constructor(world: World, coordinator: CoordinatorEnd) {
    this.#world = world;
    this.#coordinator = coordinator;
  }

  dial(agent: SimulatedAgent): Connection | undefined {
    if (!this.#coordinator.listening || this.#isBlocked(agent, 'up') || this.#isBlocked(agent, 'down'))
      return undefined;
    const connection = {
      agent,
      session: agent.session,
      agentOpen: true,
      coordinatorOpen: true,
      orderedUp: 0,
      orderedDown: 0,
      lossy: false,
    };
    this.#connections.add(connection);
    return connection;
  }

  toCoordinator(connection: Connection, message: FromAgent): void {
    if (!connection.agentOpen || !this.#passes(connection, 'up', message.type)) return;
    const deliver = (): void => {
      if (connection.coordinatorOpen) this.#coordinator.hear(connection, message);
    };
    if (message.type === 'hello') return this.#world.time.after(0, deliver);
    const ordered = message.type === 'progress';
    this.#carry(message.type, { deliver, ordered, after: connection.orderedUp }, (at) => {
      connection.orderedUp = at;
    });
  }

  toAgent(connection: Connection, message: ToAgent): void {
    if (!connection.coordinatorOpen || !this.#passes(connection, 'down', message.type)) return;
    const deliver = (): void => {
      if (connection.agentOpen) connection.agent.receive(connection, message);
    };
    if (message.type === 'welcome') return this.#world.time.after(0, deliver);
    const ordered = message.type === 'acknowledge';
    this.#carry(message.type, { deliver, ordered, after: connection.orderedDown }, (at) => {
      connection.orderedDown = at;
    });
  }

  /** The agent's process ends, or it gives the connection up: the coordinator hears of it where something passes. */
  closeByAgent(connection: Connection): void {
    connection.agentOpen = false;
    const tell = (): void => this.#endAtCoordinator(connection);
    if (this.#isBlocked(connection.agent, 'up')) return;
    this.#world.time.after(this.#world.random.between(1, 50), tell);
  }

  closeByCoordinator(connection: Connection): void {
    connection.coordinatorOpen = false;
    this.#forget(connection);
    this.#world.time.after(this.#world.random.between(1, 50), () => this.#endAtAgent(connection));
  }

  /** The connection breaks; both sides notice. */
  cut(agent: SimulatedAgent): void {
    for (const connection of this.#connections) {
      if (connection.agent !== agent) continue;
      this.#endAtAgent(connection);
      this.#endAtCoordinator(connection);
    }
  }

  /** Nothing passes in these directions for a while; neither side is told. */
  partition(agent: SimulatedAgent, directions: readonly Direction[], milliseconds: number): void {
    const until = this.#world.time.now + milliseconds;
    for (const direction of directions) this.#blocked[direction].set(agent, until);
    this.#world.time.after(milliseconds + 1, () => {
      // What was lost is missed now, and the connection is reset.
      for (const connection of this.#connections) {
        if (connection.agent !== agent || !(connection.lossy || !connection.agentOpen)) continue;
        this.#endAtAgent(connection);
        this.#endAtCoordinator(connection);
      }
    });
  }

  /** The coordinator's process is gone. */
  cutAll(): void {
    for (const connection of this.#connections) {
      connection.coordinatorOpen = false;
      this.#world.time.after(this.#world.random.between(1, 50), () => this.#endAtAgent(connection));
    }
    this.#connections.clear();
  }

  #carry(
    type: string,
    { deliver, ordered, after }: { deliver: () => void; ordered: boolean; after: number },
    remember: (at: number) => void,
  ): void {
    const { time, random } = this.#world;
    const slow = this.#world.strikes(`${type} delayed`, 0.02);
    const delay = slow ? random.between(1000, 20_000) : random.between(1, 50);
    const at = ordered ? Math.max(after, time.now + delay) : time.now + delay;
    if (ordered) remember(at);
    time.after(at - time.now, deliver);
    if (!this.#world.strikes(`${type} repeated`, 0.04)) return;
    time.after(at - time.now + (ordered ? 0 : random.between(0, 5000)), deliver);
  }

  #passes(connection: Connection, direction: Direction, type: string): boolean {
    if (this.#isBlocked(connection.agent, direction)) {
      connection.lossy = true;
      return false;
    }
    return !(droppable.has(type) && this.#world.strikes(`${type} lost`, 0.02));
  }

  #isBlocked(agent: SimulatedAgent, direction: Direction): boolean {
    return (this.#blocked[direction].get(agent) ?? 0) > this.#world.time.now;
  }

  #endAtAgent(connection: Connection): void {
    if (!connection.agentOpen) return;
    connection.agentOpen = false;
    connection.agent.closed(connection);
  }

  #endAtCoordinator(connection: Connection): void {
    this.#forget(connection);
    if (!connection.coordinatorOpen) return;
    connection.coordinatorOpen = false;
    this.#coordinator.closed(connection);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
  }
}

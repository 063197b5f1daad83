/**
 * In which order waiting tasks are given agents: higher priorities first, then in turns between the clients of a priority,
 * whoever has the fewest slots first, and each client's own in order of submission.
 */
import { isSettled, liveAttempt } from './build-state.ts';
import type { FarmState } from './farm-state.ts';
import type { Wait } from './roster.ts';

export class Turns {
  /** Slots by client, those included that this round fills. */
  readonly #slots = new Map<string, number>();
  /** By priority, then by client. */
  readonly #waiting = new Map<number, Map<string, Wait[]>>();

  constructor(state: FarmState, waiting: readonly Wait[]) {
    for (const { client, tasks } of state.builds.values()) {
      for (const task of tasks.values()) {
        const live = isSettled(task) ? undefined : liveAttempt(task);
        if (live?.status === 'offered' || live?.status === 'running') this.#add(client);
      }
    }
    for (const wait of waiting) {
      const { priority } = wait.build.spec;
      const clients = this.#waiting.get(priority) ?? new Map<string, Wait[]>();
      const own = clients.get(wait.build.client) ?? [];
      own.push(wait);
      clients.set(wait.build.client, own);
      this.#waiting.set(priority, clients);
    }
  }

  /** Gives each an agent if there is one. `place` says whether there was. */
  take(place: (wait: Wait) => boolean): void {
    for (const [, clients] of [...this.#waiting].toSorted(([left], [right]) => right - left)) {
      const queues = new Map([...clients].map(([client, waits]) => [client, waits.values()]));
      while (queues.size > 0) {
        const client = this.#next(queues.keys());
        const { value: wait, done } = queues.get(client)?.next() ?? { value: undefined, done: true };
        if (done === true || wait === undefined) queues.delete(client);
        else if (place(wait)) this.#add(client);
      }
    }
  }

  /** Of equals the one whose build came first. */
  #next(clients: Iterable<string>): string {
    let best = '';
    let fewest = Infinity;
    for (const client of clients) {
      const slots = this.#slots.get(client) ?? 0;
      if (slots >= fewest) continue;
      best = client;
      fewest = slots;
    }
    return best;
  }

  #add(client: string): void {
    this.#slots.set(client, (this.#slots.get(client) ?? 0) + 1);
  }
}

/**
 * In which order waiting tasks are given agents: higher priorities first, then in turns between the clients of a priority,
 * whoever has the fewest slots first, and each client's own in order of submission.
 */
import { isSettled, liveAttempt } from './build-state.ts';
import type { FarmState } from './farm-state.ts';
import type { Wait } from './roster.ts';

/** One client among those of its priority. */
interface Turn {
  readonly client: string;
  readonly waits: readonly Wait[];
  /** How many had their turn. */
  done: number;
  /** Of clients, in the order of their first waiting builds. */
  readonly index: number;
  slots: number;
}

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
      const turns = [...clients]
        .map(([client, waits], index) => ({
          client,
          waits,
          index,
          done: 0,
          slots: this.#slots.get(client) ?? 0,
        }))
        .toSorted(inTurn);
      for (let next = 0; next < turns.length;) {
        const turn = turns[next]!;
        const wait = turn.waits[turn.done++];
        if (wait === undefined) next += 1;
        else if (place(wait)) {
          this.#add(turn.client);
          turn.slots += 1;
          next += 1;
          turns.splice(placeOf(turn, turns, next), 0, turn);
        }
      }
    }
  }

  #add(client: string): void {
    this.#slots.set(client, (this.#slots.get(client) ?? 0) + 1);
  }
}

/** Of equals the one whose build came first. */
function inTurn(left: Turn, right: Turn): number {
  return left.slots - right.slots || left.index - right.index;
}

/** Where it belongs among those from `start` on, which are in turn. */
function placeOf(turn: Turn, turns: readonly Turn[], start: number): number {
  let [low, high] = [start, turns.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (inTurn(turns[middle]!, turn) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

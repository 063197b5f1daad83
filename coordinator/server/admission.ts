/**
 * How many builds may wait for their first agent: beyond that, and where the disk is full, new ones are refused before
 * anything is done for them.
 */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Farm } from '../farm/farm.ts';

export const defaultMaxQueued = 1000;

/** So many builds a client may have waiting however long the queue is; with more it leaves the second half to others. */
const unquestioned = 50;

export interface AdmissionOptions {
  readonly maxQueued?: number | undefined;
  /** Throws where nothing more can be stored. */
  readonly requireRoom: () => Promise<void>;
}

export class Admission {
  readonly #farm: Pick<Farm, 'queuedBy'>;
  readonly #maxQueued: number;
  readonly #requireRoom: () => Promise<void>;
  /** Admitted, and not stored yet: by client. */
  readonly #entering = new Map<string, number>();

  constructor(farm: Pick<Farm, 'queuedBy'>, { maxQueued = defaultMaxQueued, requireRoom }: AdmissionOptions) {
    this.#farm = farm;
    this.#maxQueued = maxQueued;
    this.#requireRoom = requireRoom;
  }

  /** A place in the queue, to be given back once the build is stored or was refused. Throws `queue-full` and `disk-full`. */
  async enter(client: string): Promise<Disposable> {
    await this.#requireRoom();
    this.#requirePlace(client);
    this.#count(client, 1);
    return { [Symbol.dispose]: () => this.#count(client, -1) };
  }

  #requirePlace(client: string): void {
    const queued = this.#farm.queuedBy();
    for (const [name, entering] of this.#entering) queued.set(name, (queued.get(name) ?? 0) + entering);
    const all = [...queued.values()].reduce((sum, builds) => sum + builds, 0);
    const own = queued.get(client) ?? 0;
    if (all >= this.#maxQueued) {
      throw new ArchfarmError('queue-full', `${all} builds wait for an agent already`, {
        hint: 'try again later, or let the coordinator take more: archfarm serve --max-queued',
      });
    }
    if (own < unquestioned || all < this.#maxQueued / 2) return;
    throw new ArchfarmError('queue-full', `${own} builds of ${client} wait for an agent already`, {
      hint: `the rest of the queue is for others: try again when fewer of ${all} wait (archfarm serve --max-queued)`,
    });
  }

  #count(client: string, change: number): void {
    const entering = (this.#entering.get(client) ?? 0) + change;
    if (entering === 0) this.#entering.delete(client);
    else this.#entering.set(client, entering);
  }
}

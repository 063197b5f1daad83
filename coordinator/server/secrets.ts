/**
 * Build secrets: in memory only, for the life of their build. After a restart they are gone until the client
 * that follows the build supplies them again; whoever asks in between waits a while for that.
 */
import { EventEmitter, once } from 'node:events';
import { within } from '../../shared/abort.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { Mask } from '../../shared/mask/mask.ts';

/** Milliseconds that a question waits for a client to supply the secrets of a build. */
const supplyWithin = 15_000;

export class Secrets {
  readonly #values = new Map<string, ReadonlyMap<string, Buffer>>();
  readonly #masks = new Map<string, Mask>();
  /** Emits the id of a build whose secrets have come. */
  readonly #supplies = new EventEmitter().setMaxListeners(0);

  supply(build: string, values: ReadonlyMap<string, Buffer>): void {
    const mask = this.#masks.get(build) ?? new Mask();
    for (const value of values.values()) mask.add(value);
    this.#masks.set(build, mask);
    this.#values.set(build, new Map([...(this.#values.get(build) ?? []), ...values]));
    this.#supplies.emit(build);
  }

  forget(build: string): void {
    this.#values.delete(build);
    this.#masks.delete(build);
  }

  /** For what is said of the build; undefined where nothing is to be masked. */
  maskOf(build: string): Mask | undefined {
    return this.#masks.get(build);
  }

  /** Throws `secret-missing` naming the id when no client supplies it in time. */
  async get(build: string, id: string, signal: AbortSignal): Promise<Buffer> {
    if (!this.#values.has(build)) {
      await within(supplyWithin, { signal, late: () => new Error('no client supplies it') }, (limited) =>
        once(this.#supplies, build, { signal: limited }),
      ).catch(() => signal.throwIfAborted());
    }
    const value = this.#values.get(build)?.get(id);
    if (value !== undefined) return value;
    throw new ArchfarmError(
      'secret-missing',
      `secret ${JSON.stringify(id)} of build ${build} is not known here`,
      {
        hint: `secrets are kept in memory only: follow the build with the client that has it, or build again with --secret id=${id},src=FILE`,
      },
    );
  }
}

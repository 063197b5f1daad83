/**
 * Build secrets: in memory only, for the life of their build. After a restart they are gone until the client
 * that follows the build supplies them again; whoever asks in between waits a while for that.
 */
import { EventEmitter, once } from 'node:events';
import { within } from '../../shared/abort.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { Mask } from '../../shared/mask/mask.ts';

/** Bytes of all that one build is given: each is looked for in all that is said of it. BuildKit takes 500 KiB for one. */
export const maxSecrets = 1024 * 1024;

/** Milliseconds that a question waits for a client to supply the secrets of a build. */
const supplyWithin = 15_000;

export class Secrets {
  readonly #values = new Map<string, ReadonlyMap<string, Buffer>>();
  readonly #masks = new Map<string, Mask>();
  /** Of all values that came for a build. */
  readonly #bytes = new Map<string, number>();
  /** Emits the id of a build whose secrets have come. */
  readonly #supplies = new EventEmitter().setMaxListeners(0);

  /** A value that takes the place of another counts beside it, for both are masked. Throws `usage` where it is too much. */
  supply(build: string, values: ReadonlyMap<string, Buffer>): void {
    const before = this.#values.get(build);
    const others = [...values].filter(([id, value]) => before?.get(id)?.equals(value) !== true);
    const bytes = others.reduce((sum, [, { length }]) => sum + length, this.#bytes.get(build) ?? 0);
    requireBounded(bytes);
    const mask = this.#masks.get(build) ?? new Mask();
    for (const [, value] of others) mask.add(value);
    this.#masks.set(build, mask);
    this.#bytes.set(build, bytes);
    this.#values.set(build, new Map([...(before ?? []), ...values]));
    this.#supplies.emit(build);
  }

  forget(build: string): void {
    this.#values.delete(build);
    this.#masks.delete(build);
    this.#bytes.delete(build);
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

/** Throws `usage` for values of secrets that the build does not name, and for more than it may be given. */
export function requireFitting(ids: readonly string[], values: ReadonlyMap<string, Buffer>): void {
  const known = new Set(ids);
  const stray = [...values.keys()].find((id) => !known.has(id));
  if (stray !== undefined) {
    throw new ArchfarmError('usage', `the build has no secret ${JSON.stringify(stray)}`, {
      hint: ids.length === 0 ? 'it has none' : `its secrets are ${ids.join(', ')}`,
    });
  }
  requireBounded([...values.values()].reduce((sum, { length }) => sum + length, 0));
}

function requireBounded(bytes: number): void {
  if (bytes <= maxSecrets) return;
  throw new ArchfarmError(
    'usage',
    `the secrets of the build have ${bytes} bytes, the limit is ${maxSecrets}`,
    {
      hint: 'give fewer or smaller ones: what is large can lie encrypted in the context, its key in a secret',
    },
  );
}

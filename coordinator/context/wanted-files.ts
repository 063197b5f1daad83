/** The files of a part of a tree whose directories are all here, and how they are fetched. */
import type { BlobReceiver } from '../../shared/context/receiver.ts';
import { select } from '../../shared/context/select.ts';
import type { ContextSource, Digest } from '../../shared/context/tree.ts';
import { Wakeup } from '../../shared/context/wakeup.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { WantedPart } from './wanted-sets.ts';

export interface WantedFile {
  /** From the root of its tree. */
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
}

/** Empty files are left out: nobody has to bring them. */
export async function* wantedFiles(
  { root, selection }: Pick<WantedPart, 'root' | 'selection'>,
  directories: Pick<ContextSource, 'directory'>,
  signal: AbortSignal,
): AsyncGenerator<WantedFile> {
  for await (const { path, entry } of select({ root }, selection, directories, signal)) {
    if (entry.type === 'file' && entry.size > 0) yield { path, digest: entry.digest, size: entry.size };
  }
}

/** Asked for ahead: enough to fill the line to the client, and what the memory for it is bounded by. */
const window = { items: 1000, bytes: 16 * 1024 * 1024 };

/** Resolves when all of them are in the store; rejects with the first error once nothing is under way any more. */
export async function prefetchAll(
  files: AsyncIterable<WantedFile>,
  receiver: Pick<BlobReceiver, 'prefetch'>,
  signal: AbortSignal,
): Promise<void> {
  const fetching = new Fetching(receiver, signal);
  try {
    for await (const file of files) {
      fetching.begin(file);
      await fetching.until(window);
      if (fetching.isHopeless) break;
    }
  } finally {
    // Each ends: with the signal, with the link, or because it is here.
    await fetching.until({ items: 1, bytes: Infinity });
  }
  fetching.throwFailure();
}

class Fetching {
  readonly #receiver: Pick<BlobReceiver, 'prefetch'>;
  readonly #signal: AbortSignal;
  readonly #never = new AbortController().signal;
  readonly #done = new Wakeup();
  #items = 0;
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(receiver: Pick<BlobReceiver, 'prefetch'>, signal: AbortSignal) {
    this.#receiver = receiver;
    this.#signal = signal;
  }

  /** Whether no more can come: of a failure that is one file's own, the others hear nothing. */
  get isHopeless(): boolean {
    return this.#failure !== undefined && !isOfOneFile(this.#failure.error);
  }

  begin(file: WantedFile): void {
    this.#items += 1;
    this.#bytes += file.size;
    void this.#fetch(file);
  }

  /** Until fewer items and bytes than these are under way. */
  async until({ items, bytes }: { readonly items: number; readonly bytes: number }): Promise<void> {
    while (this.#items >= items || this.#bytes >= bytes) await this.#done.wait(this.#never);
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #fetch({ digest, size }: WantedFile): Promise<void> {
    try {
      await this.#receiver.prefetch(digest, size, this.#signal);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#items -= 1;
    this.#bytes -= size;
    this.#done.wake();
  }
}

function isOfOneFile(error: unknown): boolean {
  return error instanceof ArchfarmError && (error.code === 'context-changed' || error.code === 'blobs-lost');
}

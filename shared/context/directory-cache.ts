/** Keeps the directories that were asked for last, up to so many entries: lookups of many paths go through the same few. */
import type { ContextSource, Digest, Directory } from './tree.ts';

/** Some 10 MB of names and digests. */
const maxEntries = 50_000;
/** Kept however large they are: who goes to one large directory again and again goes through those above it each time. */
const minDirectories = 16;

export class DirectoryCache implements Pick<ContextSource, 'directory'> {
  readonly #source: Pick<ContextSource, 'directory'>;
  /** The one used last at the end. */
  readonly #kept = new Map<Digest, Directory>();
  #entries = 0;

  constructor(source: Pick<ContextSource, 'directory'>) {
    this.#source = source;
  }

  async directory(digest: Digest, signal: AbortSignal): Promise<Directory> {
    const known = this.#kept.get(digest);
    if (known !== undefined) {
      this.#kept.delete(digest);
      this.#kept.set(digest, known);
      return known;
    }
    const directory = await this.#source.directory(digest, signal);
    if (!this.#kept.has(digest)) this.#entries += directory.entries.length;
    this.#kept.set(digest, directory);
    this.#makeRoom();
    return directory;
  }

  #makeRoom(): void {
    for (const [digest, { entries }] of this.#kept) {
      if (this.#entries <= maxEntries || this.#kept.size <= minDirectories) return;
      this.#kept.delete(digest);
      this.#entries -= entries.length;
    }
  }
}

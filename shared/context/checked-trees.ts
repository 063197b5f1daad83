/**
 * What the checks of whole trees gave. A digest stands for all of its tree, so one that was checked is not walked again as
 * long as its directories and their times are in the store.
 */
import { fetchTree, type FetchedTree } from './fetch-tree.ts';
import type { ContextLimits } from './limits.ts';
import type { BlobStore } from './store.ts';
import type { ContextSource, TreeId } from './tree.ts';

/** Digests that are remembered of all trees together, up to 80 bytes of memory each. */
const maxDigests = 100_000;

export class CheckedTrees {
  readonly #store: Pick<BlobStore, 'has'>;
  readonly #maxDigests: number;
  /** By tree and limits, the least recently used first. */
  readonly #known = new Map<string, FetchedTree>();
  #digests = 0;

  constructor(store: Pick<BlobStore, 'has'>, limit = maxDigests) {
    this.#store = store;
    this.#maxDigests = limit;
  }

  /** As fetchTree, where `source` puts what it brings into the store. */
  async fetch(
    { root, times }: TreeId,
    source: ContextSource,
    options: { readonly limits: ContextLimits; readonly signal: AbortSignal },
  ): Promise<FetchedTree> {
    const key = JSON.stringify([root, times, options.limits]);
    const known = this.#known.get(key);
    const tree =
      known !== undefined && (await this.#isHere(known, options.signal))
        ? known
        : await fetchTree({ root, times }, source, options);
    this.#remember(key, tree);
    return tree;
  }

  /** Also keeps them in the store for the next minutes, as reading them would. */
  async #isHere({ directories, times }: FetchedTree, signal: AbortSignal): Promise<boolean> {
    for (const [kind, digests] of [
      ['directory', directories],
      ['blob', times],
    ] as const) {
      for (const digest of digests) {
        signal.throwIfAborted();
        if (!(await this.#store.has({ kind, digest }))) return false;
      }
    }
    return true;
  }

  #remember(key: string, tree: FetchedTree): void {
    this.#forget(key);
    this.#known.set(key, tree);
    this.#digests += tree.digests.size;
    for (const oldest of this.#known.keys()) {
      if (this.#digests <= this.#maxDigests) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#digests -= this.#known.get(key)?.digests.size ?? 0;
    this.#known.delete(key);
  }
}

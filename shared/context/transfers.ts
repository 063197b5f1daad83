/** What is on its way into one store, for all receivers that bring contents there: each is asked for once. */
import type { BlobStore } from './store.ts';
import { Transfer, type TransferHome, type TransferItem } from './transfer.ts';
import type { Digest } from './tree.ts';

/** Of contents that have come a moment ago, which others are about to want: half of what is kept at most, in bytes. */
const recentBytes = 4 * 1024 * 1024;
/** What a content costs beside its bytes: it may be all that keeps the frame it came in. */
const itemBytes = 1024;

export class Transfers implements TransferHome {
  readonly store: BlobStore;
  readonly #underWay = {
    blob: new Map<Digest, Transfer>(),
    chunk: new Map<Digest, Transfer>(),
    directory: new Map<Digest, Transfer>(),
    recipe: new Map<Digest, Transfer>(),
    'recipe-pieces': new Map<Digest, Transfer>(),
    'recipe-parts': new Map<Digest, Transfer>(),
    'chunk-pieces': new Map<Digest, Transfer>(),
    'chunk-parts': new Map<Digest, Transfer>(),
  };
  #recent = new Map<Digest, Buffer>();
  #recentBytes = 0;
  /** What was recent before, to be given up as a whole. */
  #former = new Map<Digest, Buffer>();

  constructor(store: BlobStore) {
    this.store = store;
  }

  find({ kind, digest }: TransferItem): Transfer | undefined {
    return this.#underWay[kind].get(digest);
  }

  begin(item: TransferItem): Transfer {
    const transfer = new Transfer(item, this);
    this.#underWay[item.kind].set(item.digest, transfer);
    return transfer;
  }

  /** A content or recipe that is still in memory. */
  recent(digest: Digest): Buffer | undefined {
    return this.#recent.get(digest) ?? this.#former.get(digest);
  }

  remember(digest: Digest, content: Buffer): void {
    this.#recent.set(digest, content);
    this.#recentBytes += content.length + itemBytes;
    if (this.#recentBytes < recentBytes) return;
    this.#former = this.#recent;
    this.#recent = new Map();
    this.#recentBytes = 0;
  }

  /** It has turned out wrong. */
  forget(digest: Digest): void {
    for (const contents of [this.#recent, this.#former]) contents.delete(digest);
  }

  over(transfer: Transfer): void {
    const underWay = this.#underWay[transfer.kind];
    if (underWay.get(transfer.digest) === transfer) underWay.delete(transfer.digest);
  }
}

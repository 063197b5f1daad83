/**
 * One content, chunk or record on its way here, with the receivers that want it. One of them asks for it at a time; when
 * that one's other side is gone or has not got it, another goes on from where it stopped.
 */
import { ArchfarmError } from '../errors.ts';
import type { BlobWriter } from './blob-writer.ts';
import { decodeRecipe, maxRecipeBytes } from './chunks.ts';
import { decodeDirectory, digestOf, maxRecordBytes } from './encoding.ts';
import { bytesOf, decodePieces, maxPiecesBytes, type Part } from './pieces.ts';
import { smallBytes, type BlobStore } from './store.ts';
import { isOfPieces, type WantedItem } from './transfer-messages.ts';
import type { Digest } from './tree.ts';

/** What of an item is the same for all who want it. */
export interface TransferItem extends Pick<WantedItem, 'kind' | 'digest' | 'size'> {
  /** Where parts of it are wanted. */
  readonly parts?: readonly Part[] | undefined;
}

/** A receiver that wants it. */
export interface Party {
  /** Nobody asks for it at present. */
  free(): void;
  /** A large content is read while it arrives; all others are here and verified. */
  landed(content: Buffer | BlobWriter): void;
  stored(): void;
  failed(error: unknown): void;
}

export interface TransferHome {
  readonly store: BlobStore;
  /** A content or recipe is here, and will be wanted by others in a moment. */
  remember(digest: Digest, content: Buffer): void;
  /** It has been stored, has failed, or nobody wants it any more. */
  over(transfer: Transfer): void;
}

/** What counts for a directory before its record is here: bytes. */
export const expectedRecordBytes = 16 * 1024;
/** The same for a recipe, for each byte of its content. */
const expectedRecipeShare = 1 / 12_000;
/** For a list of pieces, for each byte of what they make. */
const expectedPiecesShare = 1 / 200;
/** One for all: a great many transfers have none. */
const none: readonly Part[] = [];

export class Transfer {
  readonly kind: TransferItem['kind'];
  readonly digest: Digest;
  readonly size: number;
  readonly parts: readonly Part[];
  readonly #home: TransferHome;
  #parties: readonly Party[] = [];
  /** Why those who have nobody to ask any more have not: they only wait for the others. */
  #lost: Map<Party, unknown> | undefined;
  #asking: Party | undefined;
  #landed: Buffer | BlobWriter | undefined;
  #isOver = false;

  constructor({ kind, digest, size, parts = none }: TransferItem, home: TransferHome) {
    this.kind = kind;
    this.digest = digest;
    this.size = size;
    this.parts = parts;
    this.#home = home;
  }

  get parties(): readonly Party[] {
    return this.#parties;
  }

  /** Bytes still to come, as far as one knows. */
  get expected(): number {
    switch (this.kind) {
      case 'directory':
        return expectedRecordBytes;
      case 'recipe':
        return Math.ceil(this.size * expectedRecipeShare);
      case 'recipe-pieces':
        return Math.ceil(this.size * expectedRecipeShare * expectedPiecesShare);
      case 'chunk-pieces':
        return Math.ceil(this.size * expectedPiecesShare);
      case 'recipe-parts':
      case 'chunk-parts':
        return bytesOf(this.parts);
      default:
        return this.size - this.written;
    }
  }

  /** Where it goes on after a cut. */
  get written(): number {
    return this.#writer?.written ?? 0;
  }

  /** Is taken as a whole, and sent again as a whole where it was cut. */
  get isWhole(): boolean {
    return this.kind !== 'blob' || this.size <= smallBytes;
  }

  get #writer(): BlobWriter | undefined {
    return Buffer.isBuffer(this.#landed) ? undefined : this.#landed;
  }

  join(party: Party): void {
    // Of one nearly always, which a literal makes no larger than that.
    this.#parties = this.#parties.length === 0 ? [party] : [...this.#parties, party];
    if (this.#landed !== undefined) party.landed(this.#landed);
  }

  /** Without this one, which asks for nothing at present. */
  async leave(party: Party): Promise<void> {
    this.#parties = this.#parties.filter((other) => other !== party);
    this.#lost?.delete(party);
    await this.#endUnlessAble(new Error('nobody wants it any more'));
  }

  /** Whether this one is to ask for it; false while another does, or once it is here. */
  begin(party: Party): boolean {
    if (this.#asking !== undefined || Buffer.isBuffer(this.#landed) || this.#isOver) return false;
    this.#asking = party;
    return true;
  }

  /** What was asked for has not come, and this one no longer waits for an answer. */
  letGo(party: Party): void {
    if (this.#asking !== party) return;
    this.#asking = undefined;
    for (const other of this.#parties) if (this.#lost?.has(other) !== true) other.free();
  }

  /** This one has nobody to ask any more. It fails when that is true of all. */
  async withdraw(party: Party, error: unknown): Promise<void> {
    this.#lost ??= new Map();
    this.#lost.set(party, error);
    this.letGo(party);
    await this.#endUnlessAble(error);
  }

  /** Throws `protocol` for a size with which it cannot be sent. */
  checkSize(size: number): void {
    const most = this.#mostBytes;
    if (most === undefined ? size !== this.expected : size > most)
      throw new ArchfarmError('protocol', `${this.digest} was sent with ${size} bytes`);
  }

  /** It came as a whole, and where its bytes are right `store` has to follow. Says whether they are. */
  async land(party: Party, content: Buffer): Promise<boolean> {
    try {
      this.#check(content);
    } catch (error) {
      await this.withdraw(party, error);
      return false;
    }
    if (this.kind !== 'directory' && !isOfPieces(this.kind)) this.#home.remember(this.digest, content);
    this.#tellLanded(content);
    return true;
  }

  /**
   * Takes the rest of a large content and hands it to those who wait. Throws whatever `chunks` throws, a cut connection
   * for one: what was written stays. Other failures are those of the waiters.
   */
  async landChunks(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      // What is left of a failed one has to be read too: others follow it.
      await this.#unlessOver(async () => {
        const { digest, size } = this;
        const writer = this.#writer ?? (await this.#home.store.write({ digest, size }));
        if (this.#landed === undefined) this.#tellLanded(writer);
        await writer.write(chunk);
      });
    }
    await this.#unlessOver(async () => this.#writer?.finish());
  }

  /** Resolves when what has landed is in the store. Never throws. */
  async store(): Promise<void> {
    await this.#unlessOver(async () => {
      const { kind, digest } = this;
      if (Buffer.isBuffer(this.#landed) && (kind === 'directory' || kind === 'chunk' || kind === 'blob')) {
        await this.#home.store.put({ kind: kind === 'chunk' ? 'blob' : kind, digest }, this.#landed);
      }
      this.#end();
      for (const party of this.#parties) party.stored();
    });
  }

  /** Of what has a size that only the sender knows. */
  get #mostBytes(): number | undefined {
    switch (this.kind) {
      case 'directory':
        return maxRecordBytes;
      case 'recipe':
        return maxRecipeBytes(this.size);
      case 'recipe-pieces':
        return maxPiecesBytes(maxRecipeBytes(this.size));
      case 'chunk-pieces':
        return maxPiecesBytes(this.size);
      default:
        return undefined;
    }
  }

  #tellLanded(content: Buffer | BlobWriter): void {
    this.#landed = content;
    for (const party of this.#parties) party.landed(content);
  }

  async #unlessOver(action: () => Promise<void>): Promise<void> {
    if (this.#isOver) return;
    try {
      await action();
    } catch (error) {
      await this.#fail(error);
    }
  }

  async #endUnlessAble(error: unknown): Promise<void> {
    if (Buffer.isBuffer(this.#landed) || this.#isOver) return;
    if (this.#parties.length === (this.#lost?.size ?? 0)) await this.#fail(error);
  }

  async #fail(error: unknown): Promise<void> {
    this.#end();
    // Each hears of its own other side: that is where its user can do something.
    for (const party of this.#parties) party.failed(this.#lost?.get(party) ?? error);
    await this.#writer?.fail(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#home.over(this);
  }

  #check(content: Buffer): void {
    const { kind, digest, size } = this;
    if (kind === 'directory') decodeDirectory(digest, content);
    else if (kind === 'recipe') decodeRecipe({ digest, size }, content);
    else if (kind === 'recipe-pieces') decodePieces(content, maxRecipeBytes(size));
    else if (kind === 'chunk-pieces') decodePieces(content, size);
    else if (kind === 'recipe-parts' || kind === 'chunk-parts') return;
    else if (digestOf(content) !== digest) {
      throw new ArchfarmError('context-changed', `the content sent for ${digest} does not have its digest`, {
        hint: 'a file of the context changed during the build; build again',
      });
    }
  }
}

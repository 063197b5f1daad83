/** Which parts of a content are lacking where something like it is at hand, and putting it together once they are here. */
import { bytesOf, cutPieces, maxParts, type Part, type Piece } from './pieces.ts';

/** Something that may have pieces of the content. Undefined when it is there no more. */
export type Base = () => Promise<Buffer | undefined>;

/** Where the bytes of a piece are. */
interface Found {
  readonly base: Base;
  readonly offset: number;
}

/** A content that lacks more of its bytes than this share is better taken as a whole. */
const maxShare = 0.75;

export class Delta {
  /** To be asked for. None where the bases hold all of the content. */
  readonly parts: readonly Part[];
  readonly #pieces: readonly Piece[];
  readonly #found: ReadonlyMap<string, Found>;

  private constructor(pieces: readonly Piece[], found: ReadonlyMap<string, Found>) {
    this.#pieces = pieces;
    this.#found = found;
    this.parts = lacking(pieces, found);
  }

  /** Undefined when too little of the content is in the bases, of which one at a time is in memory. */
  static async plan(pieces: readonly Piece[], bases: readonly Base[]): Promise<Delta | undefined> {
    const wanted = new Set(pieces.map(({ id }) => id));
    const found = new Map<string, Found>();
    for (const base of bases) {
      if (found.size === wanted.size) break;
      let offset = 0;
      for (const { id, size } of cutPieces((await base()) ?? Buffer.alloc(0))) {
        if (wanted.has(id) && !found.has(id)) found.set(id, { base, offset });
        offset += size;
      }
    }
    const delta = new Delta(pieces, found);
    const all = pieces.reduce((bytes, { size }) => bytes + size, 0);
    const isWorthIt = delta.parts.length <= maxParts && bytesOf(delta.parts) <= maxShare * all;
    return isWorthIt ? delta : undefined;
  }

  /** The content, to be verified by the caller; undefined when a base is gone or the parts are others than those asked for. */
  async assemble(parts: Buffer): Promise<Buffer | undefined> {
    if (parts.length !== bytesOf(this.parts)) return undefined;
    const content: Buffer[] = [];
    let at = 0;
    let open: { readonly base: Base; readonly bytes: Buffer } | undefined;
    for (const { id, size } of this.#pieces) {
      const found = this.#found.get(id);
      if (found === undefined) {
        content.push(parts.subarray(at, (at += size)));
        continue;
      }
      if (open?.base !== found.base) {
        const bytes = await found.base();
        if (bytes === undefined) return undefined;
        open = { base: found.base, bytes };
      }
      content.push(open.bytes.subarray(found.offset, found.offset + size));
    }
    return Buffer.concat(content);
  }
}

/** Neighbours are one part. */
function lacking(pieces: readonly Piece[], found: ReadonlyMap<string, Found>): readonly Part[] {
  const parts: [offset: number, size: number][] = [];
  let offset = 0;
  for (const { id, size } of pieces) {
    const last = parts.at(-1);
    if (!found.has(id)) {
      if (last !== undefined && last[0] + last[1] === offset) last[1] += size;
      else parts.push([offset, size]);
    }
    offset += size;
  }
  return parts;
}

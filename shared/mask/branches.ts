/** Where a word of an automaton leaves the states of an earlier one: a table with open addresses. */

export class Branches {
  readonly #parents: Int32Array;
  readonly #children: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #shift: number;

  /** At most that many are added: a word leaves earlier ones but once. */
  constructor(most: number) {
    const bits = Math.max(4, 32 - Math.clz32(most * 2));
    this.#shift = 32 - bits;
    this.#parents = new Int32Array(2 ** bits);
    this.#children = new Int32Array(2 ** bits);
    this.#bytes = new Uint8Array(2 ** bits);
  }

  add(parent: number, byte: number, child: number): void {
    const place = this.#place(parent, byte);
    this.#parents[place] = parent;
    this.#bytes[place] = byte;
    this.#children[place] = child;
  }

  /** Zero where there is none. */
  get(parent: number, byte: number): number {
    return this.#children[this.#place(parent, byte)]!;
  }

  /** Where it is, or would be. */
  #place(parent: number, byte: number): number {
    const last = this.#children.length - 1;
    let place = Math.imul((parent << 8) ^ byte ^ (parent >>> 16), 0x9e3779b1) >>> this.#shift;
    while (this.#children[place] !== 0 && (this.#parents[place] !== parent || this.#bytes[place] !== byte)) {
      place = (place + 1) & last;
    }
    return place;
  }
}

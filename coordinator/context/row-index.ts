/** Finds numbers of rows by what the rows hold: a hash table of the numbers alone, about eight bytes each. */

export class RowIndex {
  readonly #hashOf: (row: number) => number;
  /** Row numbers plus one, probed linearly; 0 is a free place. The length is a power of two. */
  #places: Int32Array;
  #count = 0;

  /** `hashOf` gives any 32 bits of what a row is found by; `expected` rows fit without growing. */
  constructor(hashOf: (row: number) => number, expected = 16) {
    this.#hashOf = hashOf;
    this.#places = new Int32Array(2 ** Math.ceil(Math.log2(2 * expected + 2)));
  }

  /** The row with this hash that is the one looked for. */
  find(hash: number, isIt: (row: number) => boolean): number | undefined {
    const mask = this.#places.length - 1;
    for (let place = placeOf(hash, mask); ; place = (place + 1) & mask) {
      const number = this.#places[place] ?? 0;
      if (number === 0) return undefined;
      if (isIt(number - 1)) return number - 1;
    }
  }

  /** A row that is not in it yet. */
  add(row: number): void {
    this.#count += 1;
    if (2 * this.#count > this.#places.length) this.#grow();
    this.#put(row);
  }

  #grow(): void {
    const rows = this.#places;
    this.#places = new Int32Array(2 * rows.length);
    for (const number of rows) if (number !== 0) this.#put(number - 1);
  }

  #put(row: number): void {
    const mask = this.#places.length - 1;
    let place = placeOf(this.#hashOf(row), mask);
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = row + 1;
  }
}

/** Spreads hashes that differ in few bits. */
function placeOf(hash: number, mask: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) & mask;
}

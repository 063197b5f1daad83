/** Rows of so many bytes each in flat memory: hundreds of thousands of them make no object of their own. */

const blockRows = 1024;

export class Rows {
  readonly #bytes: number;
  readonly #blocks: Buffer[] = [];
  #count = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Gives the number of a new row, which holds anything. */
  add(): number {
    if (this.#count % blockRows === 0) this.#blocks.push(Buffer.allocUnsafeSlow(blockRows * this.#bytes));
    return this.#count++;
  }

  /** Takes the last row away. */
  drop(): void {
    this.#count -= 1;
    if (this.#count % blockRows === 0) this.#blocks.pop();
  }

  /** The row lies in this block, at its `offset`. */
  block(row: number): Buffer {
    const block = this.#blocks[Math.floor(row / blockRows)];
    if (block === undefined || row >= this.#count) throw new RangeError(`no row ${row}`);
    return block;
  }

  offset(row: number): number {
    return (row % blockRows) * this.#bytes;
  }

  /** All rows in their order. */
  *bytes(): Generator<Buffer> {
    for (const [index, block] of this.#blocks.entries()) {
      yield block.subarray(0, Math.min(this.#count - index * blockRows, blockRows) * this.#bytes);
    }
  }
}

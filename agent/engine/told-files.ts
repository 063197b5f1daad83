/** What an engine was told of a tree, by place among the entries, which is how it asks for one: four bytes each. */

export class ToldFiles {
  /** Numbers of ways of serving; 0 for what is no file. */
  #ways = new Uint32Array(1024);
  #count = 0;
  /** One bit for each way. */
  #isTold = new Uint8Array(1024);

  /** The next entry: a file that was told in this way. */
  addFile(way: number): void {
    this.#add(way);
    const byte = way >>> 3;
    if (byte >= this.#isTold.length) {
      const longer = new Uint8Array(Math.max(byte + 1, this.#isTold.length * 2));
      longer.set(this.#isTold);
      this.#isTold = longer;
    }
    this.#isTold[byte]! |= 1 << (way & 7);
  }

  /** The next entry: a directory or a link. */
  addOther(): void {
    this.#add(0);
  }

  /** Undefined where the entry is no file, or was not told yet. */
  wayOf(place: number): number | undefined {
    return place < this.#count ? this.#ways[place] || undefined : undefined;
  }

  isTold(way: number): boolean {
    return ((this.#isTold[way >>> 3] ?? 0) & (1 << (way & 7))) !== 0;
  }

  #add(way: number): void {
    if (this.#count === this.#ways.length) {
      const longer = new Uint32Array(this.#ways.length * 2);
      longer.set(this.#ways);
      this.#ways = longer;
    }
    this.#ways[this.#count++] = way;
  }
}

/** A clock that jumps from one appointment to the next. */
export class SimulatedTime {
  now = 1_000_000;
  /** A binary heap by time, then by order of planning. */
  readonly #heap: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;

  after(milliseconds: number, run: () => void): void {
    this.#heap.push({ at: this.now + Math.round(milliseconds), order: this.#order++, run });
    this.#up(this.#heap.length - 1);
  }

  /** Runs the next appointment; false where there is none before `end`. */
  step(end: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.at > end) return false;
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    this.now = Math.max(this.now, first.at);
    first.run();
    return true;
  }

  #before(a: number, b: number): boolean {
    const [left, right] = [this.#heap[a], this.#heap[b]];
    if (left === undefined || right === undefined) return false;
    return left.at < right.at || (left.at === right.at && left.order < right.order);
  }

  #up(start: number): void {
    for (let index = start; index > 0;) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    for (let index = start; ;) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      let least = this.#before(left, index) ? left : index;
      if (this.#before(right, least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#heap[a], this.#heap[b]];
    if (left === undefined || right === undefined) return;
    this.#heap[a] = right;
    this.#heap[b] = left;
  }
}

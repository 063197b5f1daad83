/** A line of things that know their place in it, so that any of them leaves as quickly as the first. */
export interface Queued<T extends Queued<T>> {
  queue: Queue<T> | undefined;
  before: T | undefined;
  after: T | undefined;
}

export class Queue<T extends Queued<T>> {
  #first: T | undefined;
  #last: T | undefined;

  get first(): T | undefined {
    return this.#first;
  }

  /** Behind all others, wherever it was before. */
  push(item: T): void {
    item.queue?.remove(item);
    this.#enter(item, this.#last, undefined);
  }

  /** In front of all others. */
  unshift(item: T): void {
    item.queue?.remove(item);
    this.#enter(item, undefined, this.#first);
  }

  remove(item: T): void {
    const { before, after } = item;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    item.queue = item.before = item.after = undefined;
  }

  #enter(item: T, before: T | undefined, after: T | undefined): void {
    item.queue = this;
    item.before = before;
    item.after = after;
    if (before === undefined) this.#first = item;
    else before.after = item;
    if (after === undefined) this.#last = item;
    else after.before = item;
  }
}

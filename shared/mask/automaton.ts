/**
 * Finds many words in a stream of bytes at once, each byte looked at a constant number of times on average: Aho and
 * Corasick's automaton. Words may be half a megabyte, so states have lists of children and only the first has a table.
 */

const root = 0;

interface Run {
  readonly from: number;
  readonly seen: (end: number, length: number) => void;
}

export class Automaton {
  readonly #fromRoot = new Int32Array(256);
  readonly #firstChild: Int32Array;
  readonly #nextSibling: Int32Array;
  readonly #byte: Uint8Array;
  /** The state of the longest proper suffix that begins a word. */
  readonly #suffix: Int32Array;
  readonly #depth: Int32Array;
  readonly #longest: Int32Array;
  #states = 1;

  /** Words must not be empty. */
  constructor(words: readonly Uint8Array[]) {
    const most = words.reduce((sum, { length }) => sum + length, 1);
    this.#firstChild = new Int32Array(most);
    this.#nextSibling = new Int32Array(most);
    this.#byte = new Uint8Array(most);
    this.#suffix = new Int32Array(most);
    this.#depth = new Int32Array(most);
    this.#longest = new Int32Array(most);
    for (const word of words) this.#add(word);
    this.#linkSuffixes();
  }

  /** Where nothing of a word has been seen yet. */
  get start(): number {
    return root;
  }

  /** Goes on through the bytes from `from`; `seen` hears where a word ends and how long the longest that ends there is. */
  run(state: number, bytes: Uint8Array, { from, seen }: Run): number {
    const fromRoot = this.#fromRoot;
    const longest = this.#longest;
    let at = from;
    let current = state;
    for (; at < bytes.length; at += 1) {
      // Most of what is printed begins no word.
      current = current === root ? fromRoot[bytes[at]!]! : this.#next(current, bytes[at]!);
      const length = longest[current]!;
      if (length > 0) seen(at + 1, length);
    }
    return current;
  }

  /** Bytes that were seen last and may be the beginning of a word. */
  depth(state: number): number {
    return this.#depth[state]!;
  }

  #next(state: number, byte: number): number {
    for (let from = state; from !== root; from = this.#suffix[from]!) {
      const child = this.#child(from, byte);
      if (child !== root) return child;
    }
    return this.#fromRoot[byte]!;
  }

  #add(word: Uint8Array): void {
    let state = root;
    for (const byte of word) {
      const known = this.#child(state, byte);
      state = known === root ? this.#newState(state, byte) : known;
    }
    this.#longest[state] = word.length;
  }

  #newState(parent: number, byte: number): number {
    const state = this.#states++;
    this.#byte[state] = byte;
    this.#depth[state] = this.#depth[parent]! + 1;
    this.#nextSibling[state] = this.#firstChild[parent]!;
    this.#firstChild[parent] = state;
    if (parent === root) this.#fromRoot[byte] = state;
    return state;
  }

  #child(state: number, byte: number): number {
    if (state === root) return this.#fromRoot[byte]!;
    let child = this.#firstChild[state]!;
    while (child !== root && this.#byte[child] !== byte) child = this.#nextSibling[child]!;
    return child;
  }

  /** Breadth first: the suffix of a state is shorter than it. */
  #linkSuffixes(): void {
    const queue = new Int32Array(this.#states);
    let end = 0;
    for (let child = this.#firstChild[root]!; child !== root; child = this.#nextSibling[child]!) {
      queue[end++] = child;
    }
    for (let at = 0; at < end; at += 1) {
      const state = queue[at]!;
      const suffix = this.#suffix[state]!;
      this.#longest[state] ||= this.#longest[suffix]!;
      for (let child = this.#firstChild[state]!; child !== root; child = this.#nextSibling[child]!) {
        this.#suffix[child] = this.#next(suffix, this.#byte[child]!);
        queue[end++] = child;
      }
    }
  }
}

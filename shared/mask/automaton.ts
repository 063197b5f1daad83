/**
 * Finds many words in a stream of bytes at once, each byte looked at a constant number of times on average: Aho and
 * Corasick's automaton. It is made while others wait, of words that others chose: in time proportional to their bytes.
 */
import { Branches } from './branches.ts';

/** Bytes from `start` to before `end`, at least one. */
export interface Word {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

interface Run {
  readonly from: number;
  readonly seen: (end: number, length: number) => void;
}

const root = 0;

/** Fields of a state, side by side: whoever looks at one looks at others too. */
const fields = 4;
/** The byte that leads to it, and which ways lead on. */
const step = 0;
/** The state of its longest proper suffix that begins a word; until that is known, the state that it goes on from. */
const suffix = 1;
const depth = 2;
/** Length of the longest word that ends there. */
const longest = 3;

/** To the next state: all states of a word follow each other, but where it leaves an earlier word. */
const straight = 0x100;
/** To one that the branches know. */
const branching = 0x200;

export class Automaton {
  readonly #fromRoot = new Int32Array(256);
  readonly #fields: Int32Array;
  readonly #branches: Branches;
  #states = 1;

  constructor(words: readonly Word[]) {
    const most = words.reduce((sum, { start, end }) => sum + end - start, 1);
    this.#fields = new Int32Array(most * fields);
    this.#branches = new Branches(words.length);
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
    const table = this.#fields;
    let at = from;
    let current = state;
    for (; at < bytes.length; at += 1) {
      // Most of what is printed begins no word.
      current = current === root ? fromRoot[bytes[at]!]! : this.#next(current, bytes[at]!);
      const length = table[current * fields + longest]!;
      if (length > 0) seen(at + 1, length);
    }
    return current;
  }

  /** Bytes that were seen last and may be the beginning of a word. */
  depth(state: number): number {
    return this.#fields[state * fields + depth]!;
  }

  #next(state: number, byte: number): number {
    for (let from = state; from !== root; from = this.#fields[from * fields + suffix]!) {
      const child = this.#child(from, byte);
      if (child !== root) return child;
    }
    return this.#fromRoot[byte]!;
  }

  #child(state: number, byte: number): number {
    if (state === root) return this.#fromRoot[byte]!;
    const ways = this.#fields[state * fields + step]!;
    if ((ways & straight) !== 0 && (this.#fields[(state + 1) * fields + step]! & 0xff) === byte) {
      return state + 1;
    }
    return (ways & branching) === 0 ? root : this.#branches.get(state, byte);
  }

  #add({ bytes, start, end }: Word): void {
    let state = root;
    let at = start;
    for (; at < end; at += 1) {
      const known = this.#child(state, bytes[at]!);
      if (known === root) break;
      state = known;
    }
    for (; at < end; at += 1) state = this.#newState(state, bytes[at]!);
    this.#fields[state * fields + longest] = end - start;
  }

  #newState(parent: number, byte: number): number {
    const state = this.#states++;
    const table = this.#fields;
    table[state * fields + step] = byte;
    table[state * fields + suffix] = parent;
    table[state * fields + depth] = table[parent * fields + depth]! + 1;
    if (parent === root) {
      this.#fromRoot[byte] = state;
    } else if (parent === state - 1) {
      table[parent * fields + step]! |= straight;
    } else {
      table[parent * fields + step]! |= branching;
      this.#branches.add(parent, byte, state);
    }
    return state;
  }

  /** The suffix of a state is shorter than it. */
  #linkSuffixes(): void {
    const table = this.#fields;
    const states = this.#byDepth();
    for (let at = 0; at < states.length; at += 1) {
      const state = states[at]! * fields;
      const parent = table[state + suffix]!;
      const found =
        parent === root ? root : this.#next(table[parent * fields + suffix]!, table[state]! & 0xff);
      table[state + suffix] = found;
      table[state + longest] ||= table[found * fields + longest]!;
    }
  }

  /** All but the root. */
  #byDepth(): Int32Array {
    const table = this.#fields;
    const end = this.#states * fields;
    let deepest = 0;
    for (let at = fields; at < end; at += fields) deepest = Math.max(deepest, table[at + depth]!);
    const places = new Int32Array(deepest + 2);
    for (let at = fields; at < end; at += fields) places[table[at + depth]! + 1]! += 1;
    for (let at = 1; at < places.length; at += 1) places[at]! += places[at - 1]!;
    const sorted = new Int32Array(this.#states - 1);
    for (let at = fields; at < end; at += fields) sorted[places[table[at + depth]!]!++] = at / fields;
    return sorted;
  }
}

/** Keeps secrets out of what people read: their values, in every form of forms.ts, become stars. */
import { Automaton, type Word } from './automaton.ts';
import { formsOf, linesOf } from './forms.ts';

const stars = Buffer.from('***');

/** Bytes of values that are looked for encoded, too: of all together, for that takes up to 150 times as many. */
const maxEncoded = 8 * 1024;

/** What is to be masked. Values can come while texts go through: what was passed on before is not taken back. */
export class Mask {
  readonly #values = new Map<string, Buffer>();
  #changed = false;
  #automaton: Automaton | undefined;

  add(value: Buffer | string): void {
    const bytes = Buffer.from(value);
    const text = bytes.toString('latin1');
    if (this.#values.has(text)) return;
    this.#values.set(text, bytes);
    this.#changed = true;
  }

  /** Undefined while there is nothing to look for. */
  get automaton(): Automaton | undefined {
    if (!this.#changed) return this.#automaton;
    const words = wordsOf([...this.#values.values()]);
    this.#automaton = words.length === 0 ? undefined : new Automaton(words);
    this.#changed = false;
    return this.#automaton;
  }

  /** A whole text. */
  text(text: string): string {
    if (this.automaton === undefined) return text;
    const bytes = Buffer.from(text);
    const stream = new MaskStream(this);
    const masked = Buffer.concat([stream.push(bytes), stream.end()]);
    return masked.equals(bytes) ? text : masked.toString('utf8');
  }
}

/** Passwords are short, and a long file must not keep them from being looked for encoded. */
function wordsOf(values: readonly Buffer[]): Word[] {
  let encoded = 0;
  return values
    .toSorted((left, right) => left.length - right.length)
    .flatMap((value) => {
      encoded += value.length;
      return encoded > maxEncoded ? linesOf(value) : formsOf(value);
    });
}

/** Places in the bytes that are held. */
interface Range {
  start: number;
  end: number;
  /** Its stars are passed on already. */
  told: boolean;
}

/** Bytes that come in pieces, cut anywhere. Holds back what may be the beginning of a secret: never a whole line. */
export class MaskStream {
  readonly #mask: Mask;
  #automaton: Automaton | undefined;
  #state = 0;
  #held: Buffer = Buffer.alloc(0);
  /** In order, apart from each other. */
  #ranges: Range[] = [];

  constructor(mask: Mask) {
    this.#mask = mask;
  }

  /** What can be passed on. */
  push(chunk: Buffer): Buffer {
    const automaton = this.#mask.automaton;
    if (automaton === undefined) return chunk;
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let from = this.#held.length;
    if (automaton !== this.#automaton) {
      this.#automaton = automaton;
      this.#state = automaton.start;
      this.#ranges = this.#ranges.filter(({ told }) => told);
      from = 0;
    }
    const seen = (end: number, length: number): void => this.#cover(end - length, end);
    this.#state = automaton.run(this.#state, bytes, { from, seen });
    return this.#passOn(bytes, bytes.length - automaton.depth(this.#state));
  }

  /** The rest. */
  end(): Buffer {
    const rest = this.#passOn(this.#held, this.#held.length);
    this.#state = 0;
    this.#ranges = [];
    return rest;
  }

  /** Overlapping secrets are one range: half of one must not be left standing. */
  #cover(start: number, end: number): void {
    const range = { start, end, told: false };
    for (
      let last = this.#ranges.at(-1);
      last !== undefined && last.end >= start;
      last = this.#ranges.at(-1)
    ) {
      range.start = Math.min(range.start, last.start);
      range.told ||= last.told;
      this.#ranges.pop();
    }
    this.#ranges.push(range);
  }

  /** Nothing that begins before `decided` can become part of a secret any more. */
  #passOn(bytes: Buffer, decided: number): Buffer {
    const parts: Buffer[] = [];
    const open: Range[] = [];
    let next = 0;
    for (const { start, end, told } of this.#ranges) {
      if (start >= decided) {
        open.push({ start: start - decided, end: end - decided, told });
        continue;
      }
      parts.push(bytes.subarray(next, start));
      if (!told) parts.push(stars);
      next = end;
      // Another one may begin within it or right behind it, and goes on without stars of its own.
      if (end >= decided) open.push({ start: 0, end: end - decided, told: true });
    }
    if (next < decided) parts.push(bytes.subarray(next, decided));
    this.#ranges = open;
    // A copy: what is held must not keep the whole chunk alive.
    this.#held = Buffer.from(bytes.subarray(decided));
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}

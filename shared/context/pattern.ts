/**
 * One ignore pattern, run as an automaton. Docker turns a pattern into a regular expression for RE2, by rules that have
 * corners (`**foo` is a plain suffix, a `*` inside a class is not literal, `[[:alpha:]]` and `\d` work), and the same
 * file must be ignored here. A backtracking engine can need exponential time for such expressions, so the translation
 * is kept and the expression is run here, in time proportional to pattern times text.
 *
 * After github.com/moby/patternmatcher and the part of RE2's syntax that its translation can produce.
 */
import { posix } from 'node:path';
import { classContaining, PatternSyntaxError, type CharacterSet } from './pattern-class.ts';

type Step =
  | { readonly type: 'one'; readonly set: CharacterSet }
  /** Any number of characters, none too. */
  | { readonly type: 'many'; readonly set: CharacterSet }
  /** What `**` becomes, in two steps: the second may be skipped, else it takes characters up to some `/`. */
  | { readonly type: 'optional' }
  | { readonly type: 'through'; readonly set: CharacterSet }
  /** Passed only before any text. */
  | { readonly type: 'start' }
  /** The text so far matches. Another alternative may follow. */
  | { readonly type: 'end' };

/** Positions in a pattern that the text so far can have led to. Empty: nothing that begins so will match. */
export type Positions = readonly number[];

const slash = 0x2f;
const anything: CharacterSet = () => true;
const notNewline: CharacterSet = (code) => code !== 0x0a;
/**
 * Characters that Docker's translation escapes. It means to escape `{|}` too, but its bitmap has no room for them, so
 * beside a wildcard `|` separates alternatives; `^`, `[` and `]` keep their meaning on purpose.
 */
const escaped = '.+()$';
const noneSeen = new Uint32Array(0);
const repetition = /^\{\d+(,\d*)?\}/;

export class Pattern {
  /** Cleaned, without `!`. */
  readonly text: string;
  readonly negated: boolean;
  /** It has no wildcards: it matches the path that is its text, and nothing else. */
  readonly isPlain: boolean;
  #start: Positions | undefined;
  #steps: readonly Step[] = [];
  #seen = noneSeen;
  #round = 0;

  /** Throws `PatternSyntaxError`. */
  constructor(pattern: string) {
    const cleaned = cleanPath(pattern);
    this.negated = cleaned.startsWith('!');
    this.text = this.negated ? cleaned.slice(1) : cleaned;
    if (this.text === '') throw new PatternSyntaxError('`!` without a pattern');
    this.isPlain = !/[*?\\[\]]/.test(this.text);
    // A long list of paths would take hundreds of megabytes, and nobody runs them.
    if (this.isPlain) return;
    checkSyntax(Array.from(this.text));
    this.#start = this.#begin();
  }

  /** Where matching begins, before any text. */
  get start(): Positions {
    return (this.#start ??= this.#begin());
  }

  advance(from: Positions, text: string): Positions {
    let current = from;
    for (let at = 0; at < text.length && current.length > 0;) {
      at = this.#skipNames(current, { text, at });
      if (at === text.length) break;
      const code = text.codePointAt(at) ?? 0;
      at += code > 0xffff ? 2 : 1;
      const next: number[] = [];
      this.#round++;
      for (const position of current) this.#step(next, { position, code });
      current = next;
    }
    return current;
  }

  accepts(positions: Positions): boolean {
    return positions.some((position) => this.#steps[position]?.type === 'end');
  }

  #begin(): Positions {
    this.#steps = compile(this.text);
    this.#seen = new Uint32Array(this.#steps.length);
    const start: number[] = [];
    this.#round++;
    for (let at = 0; at < this.#steps.length; at++) {
      if (at === 0 || this.#steps[at - 1]?.type === 'end') this.#add(start, { position: at, atStart: true });
    }
    return start;
  }

  /** Most of the time a `**` alone is alive, and nothing happens to it before the next slash. */
  #skipNames(current: Positions, { text, at }: { text: string; at: number }): number {
    if (current.length !== 1 || this.#steps[current[0]!]?.type !== 'through') return at;
    const end = text.indexOf('/', at);
    const skipped = text.slice(at, end === -1 ? text.length : end);
    return skipped.includes('\n') ? at : at + skipped.length;
  }

  #step(next: number[], { position, code }: { position: number; code: number }): void {
    const step = this.#steps[position];
    switch (step?.type) {
      case 'one':
        if (step.set(code)) this.#add(next, { position: position + 1 });
        break;
      case 'many':
        if (step.set(code)) this.#add(next, { position });
        break;
      case 'through':
        if (step.set(code)) this.#add(next, { position });
        if (code === slash) this.#add(next, { position: position + 1 });
        break;
      case 'optional':
      case 'start':
      case 'end':
      case undefined:
        break;
      default:
        step satisfies never;
    }
  }

  /** Adds a position and all that can be reached from it without a character, each once a round. */
  #add(positions: number[], { position, atStart = false }: { position: number; atStart?: boolean }): void {
    for (let at = position; this.#seen[at] !== this.#round; at++) {
      this.#seen[at] = this.#round;
      positions.push(at);
      const step = this.#steps[at];
      if (step === undefined || step.type === 'one' || step.type === 'through' || step.type === 'end') return;
      if (step.type === 'start' && !atStart) return;
      if (step.type === 'optional') this.#add(positions, { position: at + 2, atStart });
    }
  }
}

/** Go's `filepath.Clean` on Unix. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Translates as patternmatcher does, which compares strings where it can instead of running an expression. */
function compile(pattern: string): Step[] {
  // Go's scanner takes it for a byte order mark; where strings are compared it counts.
  const chars = Array.from(pattern.replace(/^\ufeff/, ''));
  let kind: 'exact' | 'prefix' | 'suffix' | 'expression' = 'exact';
  let expression = '';
  for (let at = 0, token = 0; at < chars.length; at++, token++) {
    const char = chars[at]!;
    if (char === '*' && chars[at + 1] === '*') {
      at += chars[at + 2] === '/' ? 2 : 1;
      if (at + 1 < chars.length) {
        expression += '(.*/)?';
        kind = 'expression';
      } else if (kind === 'exact') {
        kind = 'prefix';
      } else {
        expression += '.*';
        kind = 'expression';
      }
      if (token === 0) kind = 'suffix';
    } else if (char === '*' || char === '?') {
      expression += char === '*' ? '[^/]*' : '[^/]';
      kind = 'expression';
    } else if (char === '\\') {
      at++;
      expression += `\\${chars[at]}`;
      kind = 'expression';
    } else if (char === '[' || char === ']') {
      expression += char;
      kind = 'expression';
    } else {
      expression += escaped.includes(char) ? `\\${char}` : char;
    }
  }
  switch (kind) {
    case 'exact':
      return [...literally(pattern), { type: 'end' }];
    case 'prefix':
      return [...literally(pattern.slice(0, -2)), { type: 'many', set: anything }, { type: 'end' }];
    case 'suffix':
      return pattern.startsWith('**/')
        ? [
            { type: 'optional' },
            { type: 'through', set: anything },
            ...literally(pattern.slice(3)),
            { type: 'end' },
          ]
        : [{ type: 'many', set: anything }, ...literally(pattern.slice(2)), { type: 'end' }];
    case 'expression':
      return parseExpression(Array.from(expression));
    default:
      return kind satisfies never;
  }
}

function literally(text: string): Step[] {
  return Array.from(text, (char): Step => ({ type: 'one', set: exactly(char) }));
}

function exactly(char: string): CharacterSet {
  const wanted = char.codePointAt(0);
  return (code) => code === wanted;
}

/** Parentheses, dots and quantifiers stand here only where the translation put them. */
function parseExpression(chars: readonly string[]): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < chars.length;) {
    const char = chars[at]!;
    if (char === '^') {
      steps.push({ type: 'start' });
      at += 1;
    } else if (char === '|') {
      // Only the first alternative is bound to the start of the text, and only the last to its end.
      steps.push({ type: 'many', set: anything }, { type: 'end' }, { type: 'many', set: anything });
      at += 1;
    } else if (char === '(') {
      steps.push({ type: 'optional' }, { type: 'through', set: notNewline });
      at += '(.*/)?'.length;
    } else if (char === '.') {
      steps.push({ type: 'many', set: notNewline });
      at += '.*'.length;
    } else {
      const { set, end } = parseCharacter(chars, at);
      const repeated = chars[end] === '*';
      steps.push({ type: repeated ? 'many' : 'one', set });
      at = repeated ? end + 1 : end;
    }
  }
  return [...steps, { type: 'end' }];
}

function parseCharacter(chars: readonly string[], at: number): { set: CharacterSet; end: number } {
  const char = chars[at]!;
  if (char === '[' || char === '\\') return classContaining(chars, at);
  if (char === '{' && repetition.test(chars.slice(at, at + 12).join(''))) {
    throw new PatternSyntaxError('Docker takes `{…}` here for a repetition; write `\\{` for the character');
  }
  return { set: exactly(char), end: at + 1 };
}

/** The syntax of Go's `filepath.Match`, to which every pattern is held first. */
function checkSyntax(chars: readonly string[]): void {
  for (let at = 0; at < chars.length;) {
    const char = chars[at++];
    if (char === '\\') {
      if (at++ === chars.length) throw new PatternSyntaxError('nothing follows the last `\\`');
    } else if (char === '[') {
      if (chars[at] === '^') at++;
      at = endOfRange(chars, at);
      while (chars[at] !== ']') at = endOfRange(chars, at);
      at++;
    }
  }
}

function endOfRange(chars: readonly string[], start: number): number {
  const end = endOfClassCharacter(chars, start);
  return chars[end] === '-' ? endOfClassCharacter(chars, end + 1) : end;
}

function endOfClassCharacter(chars: readonly string[], start: number): number {
  if (chars[start] === '-' || chars[start] === ']') {
    throw new PatternSyntaxError('a class `[…]` with a range that lacks an end');
  }
  const end = chars[start] === '\\' ? start + 2 : start + 1;
  if (end >= chars.length) throw new PatternSyntaxError('a class `[…]` that is not closed');
  return end;
}

/**
 * Ignore files and pattern lists with BuildKit's meaning: the last pattern that matches wins, `!` takes back, and what a
 * pattern said of a directory holds for all that lies in it. A walk carries that state down, so an entry costs time
 * for its own name only.
 */
import { ArchfarmError } from '../errors.ts';
import { cleanPath, Pattern, type Positions } from './pattern.ts';
import { PatternSyntaxError } from './pattern-class.ts';
import { plainTree, type PlainNode } from './plain-patterns.ts';

/** BuildKit's own reader refuses longer lines. */
const maxLineBytes = 64 * 1024;

/** What the patterns say of one directory and may still say of entries in it. */
export interface WalkState {
  /** Of the patterns that matched the directory or one above it only the last counts, and none before that. */
  readonly inherited: Verdict;
  /** Patterns with wildcards that may match in it. */
  readonly candidates: readonly Candidate[];
  /** Those without, where any of them leads here. */
  readonly plain: PlainNode | undefined;
}

interface Verdict {
  readonly matched: boolean;
  /** Of the pattern that said so; -1 for none. */
  readonly place: number;
}

interface Candidate {
  readonly pattern: Pattern;
  /** In the list. */
  readonly place: number;
  readonly positions: Positions;
}

/** A list of patterns, as ignore files and BuildKit's include and exclude patterns are. */
export class Matcher {
  /** The state at the root of a walk. */
  readonly root: WalkState;
  readonly #patterns: readonly Pattern[];
  readonly #reach = new Map<boolean, Reach>();

  /** Throws `context-invalid` naming the pattern that is not one, and its place where that is given. */
  constructor(patterns: readonly string[], placeOf?: (index: number) => string) {
    this.#patterns = patterns.flatMap((pattern, index) => {
      const text = trimSpace(pattern);
      return text === '' ? [] : [compile(text, () => placeOf?.(index))];
    });
    const places = [...this.#patterns.entries()];
    this.root = {
      inherited: { matched: false, place: -1 },
      candidates: places
        .filter(([, { isPlain }]) => !isPlain)
        .map(([place, pattern]) => ({ pattern, place, positions: pattern.start })),
      plain: plainTree(places.filter(([, { isPlain }]) => isPlain).map(([place, { text }]) => [place, text])),
    };
  }

  /** Whether the patterns match `name` in the directory of that state. */
  matches(parent: WalkState, name: string): boolean {
    return this.#judge(parent, name).matched;
  }

  /** The same for a directory, with the state for its entries. */
  enter(parent: WalkState, name: string): { readonly matched: boolean; readonly state: WalkState } {
    const inherited = this.#judge(parent, name);
    const candidates: Candidate[] = [];
    for (const { pattern, place, positions } of parent.candidates) {
      if (place <= inherited.place) continue;
      const advanced = pattern.advance(positions, `${name}/`);
      if (advanced.length > 0) candidates.push({ pattern, place, positions: advanced });
    }
    const plain = parent.plain?.below?.get(name);
    return { matched: inherited.matched, state: { inherited, candidates, plain } };
  }

  /**
   * Goes through those that may match in the order of the list. A pattern that could not change the outcome is not
   * asked, and entries below do not inherit an answer.
   */
  #judge({ inherited, candidates, plain }: WalkState, name: string): Verdict {
    let { matched, place: last } = inherited;
    const hits = plain?.below?.get(name)?.places ?? [];
    let next = 0;
    const takePlain = (end: number): void => {
      for (let place = hits[next]; place !== undefined && place < end; place = hits[++next]) {
        if (place < inherited.place || this.#patterns[place]?.negated !== matched) continue;
        matched = !matched;
        last = place;
      }
    };
    for (const { pattern, place, positions } of candidates) {
      takePlain(place);
      if (pattern.negated !== matched || !pattern.accepts(pattern.advance(positions, name))) continue;
      matched = !matched;
      last = place;
    }
    takePlain(Infinity);
    return last === inherited.place ? inherited : { matched, place: last };
  }

  /**
   * Whether BuildKit would look inside a directory for entries that patterns with (or without) `!` match. It compares
   * text where no pattern has wildcards before its end, and what it does not look at is not in the build.
   */
  reaches(directory: string, { negated }: { readonly negated: boolean }): boolean {
    let reach = this.#reach.get(negated);
    if (reach === undefined) {
      reach = reachOf(this.#patterns.filter((pattern) => pattern.negated === negated));
      this.#reach.set(negated, reach);
    }
    return reach.isEverywhere || hasPrefixed(reach.texts, `${directory}/`);
  }
}

/** Where patterns may match. */
interface Reach {
  readonly isEverywhere: boolean;
  /** With a slash at the end, sorted. */
  readonly texts: readonly string[];
}

function reachOf(patterns: readonly Pattern[]): Reach {
  const texts = patterns.map((pattern) => pattern.text.replace(/\/\*\*$/, '').replace(/\/\*$/, ''));
  return {
    isEverywhere: texts.some((text) => /[*[\]?^\\]/.test(text)),
    texts: texts.map((text) => `${text}/`).toSorted(byUnits),
  };
}

/** Whether one of the sorted texts begins with `prefix`: they follow right after where that itself would stand. */
function hasPrefixed(sorted: readonly string[], prefix: string): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < prefix) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(prefix) === true;
}

function byUnits(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Reads an ignore file. Throws `context-invalid` naming file, line and pattern. */
export function parseIgnoreFile(text: string, { name }: { readonly name: string }): Matcher {
  const patterns: string[] = [];
  const lines: number[] = [];
  const place = (line: number): string => `${name}, line ${line + 1}`;
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (Buffer.byteLength(line) >= maxLineBytes) {
      throw new ArchfarmError('context-invalid', `${place(index)}: longer than ${maxLineBytes} bytes`);
    }
    const pattern = readLine(line);
    if (pattern === undefined) continue;
    patterns.push(pattern);
    lines.push(index);
  }
  return new Matcher(patterns, (index) => place(lines[index]!));
}

function readLine(line: string): string | undefined {
  const trimmed = line.startsWith('#') ? '' : trimSpace(line);
  if (trimmed === '') return undefined;
  const negated = trimmed.startsWith('!');
  const bare = negated ? trimSpace(trimmed.slice(1)) : trimmed;
  const cleaned = bare === '' ? '' : cleanPath(bare);
  const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
  return (negated ? '!' : '') + relative;
}

function compile(text: string, placeOf: () => string | undefined): Pattern {
  try {
    return new Pattern(text);
  } catch (thrown) {
    if (!(thrown instanceof PatternSyntaxError)) throw thrown;
    const place = placeOf();
    const prefix = place === undefined ? '' : `${place}: `;
    throw new ArchfarmError(
      'context-invalid',
      `${prefix}invalid pattern ${JSON.stringify(text)}: ${thrown.message}`,
      { hint: 'the syntax is that of .dockerignore files; a backslash makes the next character literal' },
    );
  }
}

/** Go's idea of white space. A regular expression for the end would need quadratic time on some lines. */
function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x85 || (code !== 0xfeff && /\s/.test(String.fromCharCode(code)));
}

/** Character classes and escapes of RE2's syntax, as far as an ignore pattern can hold them. */

export type CharacterSet = (code: number) => boolean;

/** What is wrong with a pattern; whoever knows its file and line says so. */
export class PatternSyntaxError extends Error {
  override readonly name = 'PatternSyntaxError';
}

const perlClasses: Readonly<Record<string, RegExp>> = {
  d: /[0-9]/,
  D: /[^0-9]/,
  s: /[\t\n\f\r ]/,
  S: /[^\t\n\f\r ]/,
  w: /[0-9A-Za-z_]/,
  W: /[^0-9A-Za-z_]/,
};

const namedClasses: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  ascii: /[\x00-\x7f]/, // eslint-disable-line no-control-regex
  blank: /[\t ]/,
  cntrl: /[\x00-\x1f\x7f]/, // eslint-disable-line no-control-regex
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};

const controls: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 };

/** The set that the class or escape at `start` stands for, and where it ends. */
export function classContaining(
  chars: readonly string[],
  start: number,
): { readonly set: CharacterSet; readonly end: number } {
  if (chars[start] === '\\') {
    const perl = perlClasses[chars[start + 1] ?? ''];
    if (perl !== undefined) return { set: matching(perl), end: start + 2 };
    const { code, end } = classCharacter(chars, start);
    return { set: (candidate) => candidate === code, end };
  }
  const negated = chars[start + 1] === '^';
  const first = start + (negated ? 2 : 1);
  const sets: CharacterSet[] = [];
  let at = first;
  // A `]` that comes first is one of the class.
  while (chars[at] !== ']' || at === first) {
    const item = classItem(chars, at);
    sets.push(item.set);
    at = item.end;
  }
  return { set: (code) => sets.some((set) => set(code)) !== negated, end: at + 1 };
}

function classItem(chars: readonly string[], at: number): { set: CharacterSet; end: number } {
  if (chars[at] === '[' && chars[at + 1] === ':') {
    const named = namedClass(chars, at);
    if (named !== undefined) return named;
  }
  if (chars[at] === '\\') {
    const perl = perlClasses[chars[at + 1] ?? ''];
    if (perl !== undefined) return { set: matching(perl), end: at + 2 };
  }
  const low = classCharacter(chars, at);
  const isRange = chars[low.end] === '-' && chars[low.end + 1] !== undefined && chars[low.end + 1] !== ']';
  const high = isRange ? classCharacter(chars, low.end + 1) : low;
  if (high.code < low.code) throw new PatternSyntaxError('a class `[…]` with a range that runs backwards');
  return { set: (code) => low.code <= code && code <= high.code, end: high.end };
}

function namedClass(chars: readonly string[], at: number): { set: CharacterSet; end: number } | undefined {
  const end = chars.findIndex((char, index) => index >= at + 2 && char === ':' && chars[index + 1] === ']');
  if (end === -1) return undefined;
  const text = chars.slice(at + 2, end).join('');
  const named = namedClasses[text.replace(/^\^/, '')];
  if (named === undefined) throw new PatternSyntaxError(`unknown class [:${text}:]`);
  const set = matching(named);
  return { set: text.startsWith('^') ? (code) => !set(code) : set, end: end + 2 };
}

function classCharacter(chars: readonly string[], at: number): { code: number; end: number } {
  const char = chars[at];
  if (char === undefined) throw new PatternSyntaxError('a class `[…]` that is not closed');
  if (char !== '\\') return { code: char.codePointAt(0) ?? 0, end: at + 1 };
  const next = chars[at + 1] ?? '';
  const control = controls[next];
  if (control !== undefined) return { code: control, end: at + 2 };
  // A backslash takes the meaning from punctuation only; RE2 refuses it before other letters and digits.
  if (next === '' || next > '\x7f' || /[0-9A-Za-z]/.test(next)) {
    throw new PatternSyntaxError(`unknown escape \\${next}`);
  }
  return { code: next.charCodeAt(0), end: at + 2 };
}

function matching(expression: RegExp): CharacterSet {
  return (code) => expression.test(String.fromCodePoint(code));
}

/** How a secret can be written: as it is, and in the encodings that tools print it in. No form has a line feed. */
import type { Word } from './automaton.ts';

/** Bytes. What is shorter is too likely to be a word of something else, and masking it would only tell what it is. */
const shortest = 4;

/** `base64` breaks lines after 76 characters, PEM after 64. */
const wrappedAt = [76, 64];
/**
 * Characters that stand for a whole line of base64: what is longer is found as many of them that overlap. Fewer would be
 * found in what has but a few bytes in common with a secret, as all JSON has that is indented.
 */
const windowSize = 32;
/** Of the value in the first or the last of several lines: of four bytes, that many characters hold nothing else. */
const shortestPiece = 5;

/** None for a value that is shorter than four bytes, the white space around it left out. */
export function formsOf(value: Buffer): Word[] {
  return [...linesOf(value), ...encodingsOf(value)];
}

/** As they are, the white space around them left out. */
export function linesOf(value: Buffer): Word[] {
  const lines: Word[] = [];
  for (let start = 0; start < value.length;) {
    const feed = value.indexOf(0x0a, start);
    const end = feed === -1 ? value.length : feed;
    const line = trimmed({ bytes: value, start, end });
    if (line.end - line.start >= shortest) lines.push(line);
    start = end + 1;
  }
  return lines;
}

/** With the white space around it and without. Many times as long as the value. */
function encodingsOf(value: Buffer): Word[] {
  const { start, end } = trimmed({ bytes: value, start: 0, end: value.length });
  if (end - start < shortest) return [];
  const bare = value.subarray(start, end);
  const values = bare.length === value.length ? [bare] : [bare, value];
  return [...new Set(values.flatMap(encoded))]
    .filter((form) => form.length >= shortest)
    .map((form) => ({ bytes: Buffer.from(form, 'latin1'), start: 0, end: form.length }));
}

function trimmed({ bytes, start, end }: Word): Word {
  let first = start;
  let last = end;
  while (first < last && isSpace(bytes[first]!)) first += 1;
  while (last > first && isSpace(bytes[last - 1]!)) last -= 1;
  return { bytes, start: first, end: last };
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function encoded(value: Buffer): string[] {
  const base64 = base64Of(value);
  const inUrlAlphabet = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...base64, ...inUrlAlphabet, ...wrappedWithin(value), ...percentEncodings(value), ...inJson(value)];
}

/** Alone, and in the middle of something longer. */
function base64Of(value: Buffer): string[] {
  const alone = value.toString('base64');
  const wrapped = wrappedAt.flatMap((width) => piecesOf(alone, width));
  const within = within64(value).map(({ text }) => text);
  return [alone, alone.replace(/=+$/, ''), ...wrapped, ...within];
}

/** What is longer shifts it by zero to two bytes. `lead` characters come before the first whole group of four. */
function within64(value: Buffer): { readonly text: string; readonly lead: number }[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), value]).toString('base64');
    // Characters that hold bits of the neighbours as well are no part of it.
    const start = Math.ceil((shift * 8) / 6);
    return { text: text.slice(start, Math.floor(((shift + value.length) * 8) / 6)), lead: -start & 3 };
  });
}

function piecesOf(text: string, width: number): string[] {
  if (text.length <= width) return [];
  return Array.from({ length: Math.ceil(text.length / width) }, (_, index) =>
    text.slice(index * width, (index + 1) * width),
  );
}

/**
 * In the middle of something longer that is wrapped: where lines break nobody knows, but it is between groups of four
 * characters. So a line has the beginning, the end or windows of it.
 */
function wrappedWithin(value: Buffer): string[] {
  return within64(value).flatMap(({ text, lead }) => {
    const pieces: string[] = [];
    for (let at = lead; at < text.length; at += 4) {
      if (at >= shortestPiece && at <= windowSize) pieces.push(text.slice(0, at));
      const left = text.length - at;
      if (left >= windowSize) pieces.push(text.slice(at, at + windowSize));
      else if (left >= shortestPiece) pieces.push(text.slice(at));
    }
    return pieces;
  });
}

/** Which characters stay as they are: by RFC 3986, for a path, by `encodeURIComponent`; and forms write blanks as `+`. */
const unreserved = /[A-Za-z0-9._~-]/;
const percentRules: readonly ((character: string) => string | undefined)[] = [
  (character) => (unreserved.test(character) ? character : undefined),
  (character) => (unreserved.test(character) || character === '/' ? character : undefined),
  (character) => (/[A-Za-z0-9._~!'()*-]/.test(character) ? character : undefined),
  (character) => (character === ' ' ? '+' : unreserved.test(character) ? character : undefined),
];

/** What each byte becomes, by each rule, in capitals and in small letters. */
const percentTables = percentRules.flatMap((plain) =>
  ['0123456789ABCDEF', '0123456789abcdef'].map((digits) =>
    Array.from(
      { length: 256 },
      (_, byte) => plain(String.fromCharCode(byte)) ?? `%${digits[byte >> 4]}${digits[byte & 15]}`,
    ),
  ),
);

function percentEncodings(value: Buffer): string[] {
  return percentTables.map((table) => Array.from(value, (byte) => table[byte]).join(''));
}

/**
 * What JSON need not escape and some escape: nothing as JavaScript, what HTML knows as Go, what is no ASCII as Python, the
 * slash alone or as well as PHP.
 */
const jsonRules = [/(?!)/g, /[<>&\u2028\u2029]/g, /[\u007f-\uffff]/g, /\//g, /[/\u007f-\uffff]/g];

/** As bytes in latin1, like every form here. */
function inJson(value: Buffer): string[] {
  const text = JSON.stringify(value.toString('utf8')).slice(1, -1);
  return jsonRules.map((rule) => Buffer.from(text.replace(rule, escaped)).toString('latin1'));
}

/** One of UTF-16's units: two make a character beyond them. */
function escaped(unit: string): string {
  return unit === '/' ? '\\/' : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

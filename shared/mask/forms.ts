/** How a secret can be written: as it is, and in the encodings that tools print it in. No form has a line feed. */

/** Bytes. What is shorter is too likely to be a word of something else, and masking it would only tell what it is. */
const shortest = 4;

/** Bytes. Of a longer value only the lines as they are: its encodings would be many times as long. */
const longestEncoded = 16 * 1024;

/** `base64` breaks lines after 76 characters, PEM after 64. */
const wrappedAt = [76, 64];

/** None for a value that is shorter than four bytes, the white space around it left out. */
export function formsOf(value: Buffer): Buffer[] {
  const lines = linesOf(value);
  const bare = trimmed(value);
  if (bare.length > longestEncoded) return lines;
  const values = bare.length === value.length ? [bare] : [bare, value];
  const encoded = bare.length < shortest ? [] : values.flatMap(encodingsOf);
  const forms = new Set([...lines.map((line) => line.toString('latin1')), ...encoded]);
  return [...forms].filter((form) => form.length >= shortest).map((form) => Buffer.from(form, 'latin1'));
}

function linesOf(value: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < value.length;) {
    const feed = value.indexOf(0x0a, start);
    const end = feed === -1 ? value.length : feed;
    const line = trimmed(value.subarray(start, end));
    if (line.length >= shortest) lines.push(line);
    start = end + 1;
  }
  return lines;
}

function trimmed(bytes: Buffer): Buffer {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start]!)) start += 1;
  while (end > start && isSpace(bytes[end - 1]!)) end -= 1;
  return bytes.subarray(start, end);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function encodingsOf(value: Buffer): string[] {
  const base64 = base64Of(value);
  const inUrlAlphabet = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...base64, ...inUrlAlphabet, ...percentEncodings(value), inJson(value)];
}

/** Alone, and in the middle of something longer, which shifts it by zero to two bytes. */
function base64Of(value: Buffer): string[] {
  const alone = value.toString('base64');
  const wrapped = wrappedAt.flatMap((width) => piecesOf(alone, width));
  const within = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), value]).toString('base64');
    // Characters that hold bits of the neighbours as well are no part of it.
    const start = Math.ceil((shift * 8) / 6);
    return text.slice(start, Math.floor(((shift + value.length) * 8) / 6));
  });
  return [alone, alone.replace(/=+$/, ''), ...wrapped, ...within];
}

function piecesOf(text: string, width: number): string[] {
  if (text.length <= width) return [];
  return Array.from({ length: Math.ceil(text.length / width) }, (_, index) =>
    text.slice(index * width, (index + 1) * width),
  );
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

/** As bytes in latin1, like every form here. */
function inJson(value: Buffer): string {
  return Buffer.from(JSON.stringify(value.toString('utf8')).slice(1, -1)).toString('latin1');
}

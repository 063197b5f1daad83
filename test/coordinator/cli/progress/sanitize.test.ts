import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plainText, Sanitizer } from '../../../../coordinator/cli/progress/sanitize.ts';

const red = '\u001B[31m';
const reset = '\u001B[0m';

// oxlint-disable-next-line no-control-regex -- what must not come through
const control = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/;

function stripColours(text: string): string {
  // oxlint-disable-next-line no-control-regex -- a colour begins with one
  return text.replace(/\u001B\[[0-9;:]*m/g, '');
}

function clean(chunks: readonly string[], colours = true): string[] {
  const sanitizer = new Sanitizer({ colours });
  return [...chunks.flatMap((chunk) => sanitizer.push(chunk)), ...sanitizer.flush()];
}

const golden: [what: string, raw: string, lines: string[]][] = [
  ['plain text, wide and combined characters', 'añ日本👩‍👩‍👧\tb\n', ['añ日本👩‍👩‍👧\tb']],
  ['colours, closed at the end of the line and opened on the next', `${red}a\nb${reset}c`, [`${red}a${reset}`, `${red}b${reset}c${reset}`]],
  ['256 and true colours', '\u001B[38;5;1mx\u001B[38:2::1:2:3my\u001B[m', ['\u001B[38;5;1mx\u001B[38:2::1:2:3my\u001B[m\u001B[0m']],
  ['cursor movement and erasing', 'a\u001B[2Jb\u001B[1;1Hc\u001B[?25ld', ['abcd']],
  ['private and over-long colours', `a\u001B[>4;1mb\u001B[${'1;'.repeat(100)}mc`, ['abc']],
  ['titles, links and the clipboard', 'a\u001B]0;title\u0007b\u001B]8;;http://x\u001B\\c\u001B]52;c;aGk=\u009Cd', ['abcd']],
  ['device control, application and privacy strings', 'a\u001BPq1\u001B\\b\u001B_x\u001B\\c\u001B^x\u001B\\d\u001BXx\u001B\\e', ['abcde']],
  ['C1 forms', 'a\u009B2Jb\u009D0;t\u009Cc\u0090x\u009Cd\u0085e', ['abcde']],
  ['character sets and single escapes', 'a\u001B(0b\u001Bcc\u001B7d\u001B%Ge', ['abcde']],
  ['lone controls', 'a\u0000\u0007\u0008\u000B\u007Fb', ['ab']],
  ['a sequence cut short by CAN, by another one or by the end of its line', 'a\u001B[31\u0018b\u001B]0;x\u001B[2Jc\u001B]0;open\nd', ['abc', 'd']],
  ['progress that overwrites its line', '10%\r20%\r30%\r\nnext\r', ['30%', 'next']],
  ['what shows text in another order than it has, but for marks of languages that need them', 'a\u202Eb\u202Cc\u2066d\u2069e\u200Fא', ['abcde\u200Fא']],
  ['an empty line', 'a\n\nb\n', ['a', '', 'b']],
]; // prettier-ignore

for (const [what, raw, lines] of golden) {
  test(`handles ${what}, wherever it is cut [L1]`, () => {
    assert.equal(clean([raw]), lines);
    for (let at = 1; at < raw.length; at++) {
      // A chunk of text never ends inside a surrogate pair: bytes are decoded by a streaming decoder.
      if (/[\uD800-\uDBFF]/.test(raw[at - 1] ?? '')) continue;
      assert.equal(clean([raw.slice(0, at), raw.slice(at)]), lines, `cut at ${at}`);
    }
  });
}

test('without colours nothing of them is left', () => {
  assert.equal(clean([`${red}a${reset}\u009B1mb\n`], false), ['ab']);
});

test('only text and colours come out of random bytes', () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  const alphabet = [
    '\u001B',
    '[',
    ']',
    'P',
    '\\',
    '3',
    ';',
    'm',
    'J',
    '\u0007',
    '\u009B',
    '\u009C',
    '\r',
    '\n',
    'x',
    '\u0018',
  ];
  for (let round = 0; round < 5000; round++) {
    const raw = Array.from({ length: 40 }, () => alphabet[random() % alphabet.length]).join('');
    assert.not.match(stripColours(clean([raw]).join('')), control, JSON.stringify(raw));
  }
});

test('a line without end is broken, not kept [L1]', () => {
  const lines = clean(['x'.repeat(200_000)]);
  assert.is(lines.join('').length, 200_000);
  assert.ok(lines.every((line) => line.length <= 64 * 1024));
});

test('a name from elsewhere is one line of plain text', () => {
  assert.is(plainText(`a${red}b\nc\u001B]0;t\u0007`), 'ab c');
});

test.run();

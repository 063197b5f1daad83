import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formsOf } from '../../../shared/mask/forms.ts';
import { Mask, MaskStream } from '../../../shared/mask/mask.ts';
import { Random } from '../../support/random.ts';

function maskOf(...values: (string | Buffer)[]): Mask {
  const mask = new Mask();
  for (const value of values) mask.add(value);
  return mask;
}

function formsOfAll(values: readonly string[]): Uint8Array[] {
  return values.flatMap((value) =>
    formsOf(Buffer.from(value)).map(({ bytes, start, end }) => bytes.subarray(start, end)),
  );
}

/** Through a stream, in these pieces. */
function streamed(mask: Mask, pieces: readonly Buffer[]): string {
  const stream = new MaskStream(mask);
  return Buffer.concat([...pieces.map((piece) => stream.push(piece)), stream.end()]).toString('latin1');
}

/** The same by searching for one form after another. */
function expected(forms: readonly Uint8Array[], text: Buffer): string {
  const covered = Array.from(text, () => false);
  for (const form of forms) {
    for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1)) {
      covered.fill(true, at, at + form.length);
    }
  }
  const parts = [...text].map((byte, at) => {
    if (!covered[at]) return String.fromCharCode(byte);
    return covered[at - 1] ? '' : '***';
  });
  return parts.join('');
}

const password = 'p4ss w/ord+"quoted"?';
const keyFile = '-----BEGIN KEY-----\nAAAAaaaaBBBBbbbb\nCCCCccccDDDDdddd\nok\n-----END KEY-----\n';

test('whatever form a secret is printed in, wherever the output is cut, stars come out', () => {
  const mask = maskOf(password, keyFile, 'abcabcab', 'bcab');
  const forms = formsOfAll([password, keyFile, 'abcabcab', 'bcab']);
  const texts = [
    `in: ${password}, again:${password}${password}.`,
    ...['', 'x', 'xy', 'xyz'].map((before) =>
      Buffer.from(`${before}${password}${before}`).toString('base64'),
    ),
    `a=${encodeURIComponent(password)}&b=${new URLSearchParams({ password }).toString()}`,
    encodeURIComponent(password).toLowerCase(),
    JSON.stringify({ password, key: keyFile }),
    keyFile,
    Buffer.from(keyFile).toString('base64url'),
    'abcabcabcabcab abcabcaabcabcab bcabcabcab abcabca',
  ];
  for (const text of texts) {
    const bytes = Buffer.from(text);
    const wanted = expected(forms, bytes);
    assert.is.not(wanted, text);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      assert.is(streamed(mask, [bytes.subarray(0, cut), bytes.subarray(cut)]), wanted);
    }
    assert.is(
      streamed(
        mask,
        [...bytes].map((byte) => Buffer.of(byte)),
      ),
      wanted,
    );
  }
});

test('nothing of a secret is left where its forms are printed among other things', () => {
  const printed = {
    plain: `<${password}>`,
    base64: `user:${password}`,
    header: `Basic ${Buffer.from(`bob:${password}`).toString('base64')}`,
    wrapped: Buffer.from(keyFile.repeat(3)).toString('base64').replace(/.{76}/g, '$&\n'),
  };
  assert.is(maskOf(password).text(printed.plain), '<***>');
  assert.is(maskOf(password).text(printed.base64), 'user:***');
  // What is left are the user and the character that holds bits of both.
  assert.match(maskOf(password).text(printed.header), /^Basic Ym9i.{1,2}\*\*\*.{0,3}$/);
  assert.is(maskOf(keyFile.repeat(3)).text(printed.wrapped).replaceAll('\n', ''), '***'.repeat(4));
});

/** What of a value can still be read of base64 with stars in it, which has lost its groups of four at most at each star. */
function readable(masked: string): string {
  return masked
    .split('***')
    .flatMap((rest) => [0, 1, 2, 3].map((lost) => Buffer.from(rest.slice(lost), 'base64').toString('latin1')))
    .join(' ');
}

test('nothing of a secret is left in base64 of something longer, wherever that is wrapped', () => {
  const token = randomBytes(70).toString('base64url').slice(0, 93);
  const mask = maskOf(token);
  for (let before = 0; before < 120; before += 1) {
    for (const [width, feed] of [
      [76, '\n'],
      [76, '\r\n'],
      [64, '\n'],
    ] as const) {
      const text = Buffer.from(`${'-'.repeat(before)}${token}\n`).toString('base64');
      const lines = text.replace(new RegExp(`.{${width}}`, 'g'), `$&${feed}`);
      const masked = mask.text(lines);
      for (const line of masked.split(feed)) {
        const told = readable(line);
        for (let at = 0; at + 4 <= token.length; at += 1)
          assert.not.ok(told.includes(token.slice(at, at + 4)), `${before} before it, ${width}: ${masked}`);
      }
      assert.is(
        streamed(
          mask,
          [...Buffer.from(lines)].map((byte) => Buffer.of(byte)),
        ),
        masked,
      );
    }
  }
});

test('a secret is masked in the JSON of other languages', () => {
  const printed = {
    go: ['p&ss<w>ord\u2028', String.raw`p\u0026ss\u003cw\u003eord\u2028`],
    python: ['pässwörd😀/', String.raw`p\u00e4ssw\u00f6rd\ud83d\ude00/`],
    php: ['ä/bcdef', String.raw`\u00e4\/bcdef`],
    phpUnescaped: ['ä/bcdef', String.raw`ä\/bcdef`],
    javaScript: ['p"ä/\\\n', String.raw`p\"ä/\\\n`],
  };
  for (const [language, [secret, text]] of Object.entries(printed))
    assert.is(maskOf(secret!).text(`{"it":"${text}"}`), '{"it":"***"}', language);
});

test('encodings are looked for in little memory', () => {
  const values = [
    randomBytes(8192),
    Buffer.from(` ${randomBytes(8190).toString('latin1')}\n`, 'latin1'),
    Buffer.from(` ${'ä&/'.repeat(2000)}\n`),
    Buffer.alloc(8192, 1),
  ];
  for (const value of values) {
    const bytes = formsOf(value).reduce((sum, { start, end }) => sum + end - start, 0);
    assert.ok(bytes < 150 * value.length, `${bytes / value.length} times as many`);
  }
});

test('a secret of several lines is masked line by line, and holds no line back', () => {
  const stream = new MaskStream(maskOf(keyFile));
  const told = keyFile.split(/(?<=\n)/).map((line) => stream.push(Buffer.from(line)).toString());
  assert.equal(told, ['***\n', '***\n', '***\n', 'ok\n', '***\n']);
});

test('what is shorter than four bytes is no secret', () => {
  const mask = maskOf('', 'a', 'abc', ' abc\n', 'x\n');
  assert.is(mask.automaton, undefined);
  assert.is(mask.text('abc x YWJj'), 'abc x YWJj');
  assert.is(maskOf('abcd').text('abcd'), '***');
});

test('a value that comes while its output is under way is masked from there on, also half of it held', () => {
  const mask = maskOf('first secret');
  const stream = new MaskStream(mask);
  const parts = [stream.push(Buffer.from('a second secret, first sec'))];
  mask.add('second secret');
  mask.add('secondary');
  parts.push(stream.push(Buffer.from('ret and second ')), stream.push(Buffer.from('secret')), stream.end());
  assert.is(Buffer.concat(parts).toString(), 'a second secret, *** and ***');
});

test('bytes that are no text are masked and passed on as they are', () => {
  const value = Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3]);
  const around = Buffer.from([0xc3, 0x28, ...value, 0xe2, 0x82]);
  assert.is(streamed(maskOf(value), [around.subarray(0, 4), around.subarray(4)]), '\xc3\x28***\xe2\x82');
});

test('random secrets in random output, cut at random', () => {
  const seed = randomBytes(4).readUInt32BE();
  const random = new Random(seed);
  const word = (most: number): string =>
    Array.from({ length: random.between(1, most) }, () => random.pick(['a', 'b', 'ab', '\n', '/', ' '])).join(
      '',
    );
  for (let round = 0; round < 2000; round += 1) {
    const values = Array.from({ length: random.between(1, 4) }, () => word(8));
    const forms = formsOfAll(values);
    const parts = Array.from({ length: 8 }, () =>
      random.chance(0.5) || forms.length === 0 ? word(4) : Buffer.from(random.pick(forms)).toString(),
    );
    const bytes = Buffer.from(parts.join(''));
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = random.between(1, 6);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    assert.is(streamed(maskOf(...values), pieces), expected(forms, bytes), `seed ${seed}, round ${round}`);
  }
});

test('the time is proportional to the output, whatever the secrets are', () => {
  const mask = maskOf(`${'a'.repeat(50_000)}b`, ...Array.from({ length: 200 }, () => randomBytes(24)));
  const stream = new MaskStream(mask);
  const chunk = Buffer.alloc(64 << 10, 'a');
  stream.push(chunk);
  const start = performance.now();
  for (let pushed = 0; pushed < 4 << 20; pushed += chunk.length) stream.push(chunk);
  // A search that went back in the output would look at each byte 50,000 times.
  assert.ok(performance.now() - start < 5000);
});

test('any number of values is looked for in time that is proportional to their bytes', () => {
  const mask = maskOf(...Array.from({ length: 64 }, () => randomBytes(16 * 1024)));
  const last = randomBytes(64).toString('hex');
  const { user } = process.cpuUsage();
  mask.add(last);
  assert.is(mask.text(`it is ${last}.`), 'it is ***.');
  // Half a second before, with a 64th of them encoded; nobody else of the coordinator is served meanwhile.
  assert.ok(process.cpuUsage().user - user < 1_000_000);
});

test('encodings are looked for of the shortest values, up to 8 KiB of them', () => {
  const [long, longer, short] = [7000, 7001, 300].map((length) =>
    randomBytes(length).toString('hex').slice(0, length),
  );
  const mask = maskOf(long!, longer!, short!);
  const base64 = (value: string): string => Buffer.from(value).toString('base64');
  assert.is(mask.text(`${long} ${longer} ${short}`), '*** *** ***');
  assert.is(mask.text(base64(short!)), '***');
  assert.is(mask.text(base64(long!)), '***');
  // But for a few characters that the first or the last of another has as well.
  assert.ok(mask.text(base64(longer!)).length > 9000);
});

test.run();

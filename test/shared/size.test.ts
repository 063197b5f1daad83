import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatSize, parseSize } from '../../shared/size.ts';

test('reads bytes with and without a unit', () => {
  const golden: Readonly<Record<string, number>> = {
    '0': 0,
    '4096': 4096,
    '12B': 12,
    '20GiB': 20 * 1024 ** 3,
    '1.5 MB': 1_500_000,
    '2kB': 2000,
    '1KiB': 1024,
    ' 3TiB ': 3 * 1024 ** 4,
  };
  for (const [text, bytes] of Object.entries(golden)) assert.is(parseSize(text), bytes, text);
});

test('refuses what is no size, with what one looks like', () => {
  for (const text of [
    '',
    'GiB',
    '-1',
    '1e3',
    '20 GiBs',
    '1,5MB',
    '5Mi',
    'constructor',
    '1constructor',
    '99999999TiB',
  ]) {
    assert.throws(
      () => parseSize(text),
      (error: unknown) =>
        error instanceof ArchfarmError && error.code === 'usage' && error.hint?.includes('20GiB') === true,
      text,
    );
  }
});

test('shows bytes in two digits', () => {
  const golden: readonly [bytes: number, text: string][] = [
    [0, '0 B'],
    [640, '640 B'],
    [1200, '1.2 kB'],
    [9960, '10 kB'],
    [999_600, '1.0 MB'],
    [97_400_000, '97 MB'],
    [1_230_000_000, '1.2 GB'],
    [20 * 1024 ** 3, '21 GB'],
    [5e15, '5000 TB'],
  ];
  for (const [bytes, text] of golden) assert.is(formatSize(bytes), text);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatDuration, parseDuration } from '../../shared/duration.ts';

test('durations are read as people write them', () => {
  const golden: [text: string, milliseconds: number][] = [
    ['15s', 15_000],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['500ms', 500],
    ['0s', 0],
  ];
  for (const [text, milliseconds] of golden) assert.is(parseDuration(text, '--timeout'), milliseconds);
});

test('anything else is refused by the name of its option', () => {
  for (const text of ['', '15', 's', '-1s', '1s2', '1 s', '1d', '1s ', '100000000h']) {
    assert.throws(() => parseDuration(text, '--timeout'), /^--timeout /, text);
  }
});

test('durations are shown in two units at most', () => {
  const golden: [milliseconds: number, text: string][] = [
    [0, '0.0s'],
    [440, '0.4s'],
    [59_940, '59.9s'],
    [59_960, '1m00s'],
    [125_000, '2m05s'],
    [3_599_600, '1h00m'],
    [3_725_000, '1h02m'],
  ];
  for (const [milliseconds, text] of golden) assert.is(formatDuration(milliseconds), text);
});

test.run();

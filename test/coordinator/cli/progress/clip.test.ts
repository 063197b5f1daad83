import stringWidth from 'string-width';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clip, pad } from '../../../../coordinator/cli/progress/clip.ts';

test('text is cut between characters as people see them, and its colours are closed', () => {
  assert.is(clip('short', 5), 'short');
  assert.is(clip('longer', 5), 'long…');
  assert.is(clip('日本語', 5), '日本…');
  assert.is(clip('日本語', 4), '日…');
  assert.is(clip('a👩‍👩‍👧b👩‍👩‍👧', 4), 'a👩‍👩‍👧…');
  assert.is(clip('\u001B[31mlonger\u001B[0m', 3), '\u001B[31mlo…\u001B[0m');
  assert.is(clip('\u001B[31mred\u001B[0m', 3), '\u001B[31mred\u001B[0m');
  for (let width = 0; width < 8; width++) assert.ok(stringWidth(clip('日本語 text', width)) <= width);
});

test('padding counts columns', () => {
  assert.is(pad('日', 4), '日  ');
  assert.is(pad('too long', 2), 'too long');
});

test.run();

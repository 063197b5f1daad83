import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spansOf, textOf } from '../../../coordinator/dashboard/build/ansi.ts';

test('named colours and styles last until they are ended', () => {
  assert.equal(spansOf('a\u001B[1;31mb\u001B[39mc\u001B[0md'), [
    { text: 'a', classes: [] },
    { text: 'b', classes: ['ansi-bold', 'ansi-fg-1'] },
    { text: 'c', classes: ['ansi-bold'] },
    { text: 'd', classes: [] },
  ]);
  assert.equal(spansOf('\u001B[97;104mx'), [{ text: 'x', classes: ['ansi-fg-15', 'ansi-bg-12'] }]);
});

test('colours of the palette and of 24 bits are written out, and what follows them counts again', () => {
  assert.equal(spansOf('\u001B[38;5;208;4mx'), [
    { text: 'x', classes: ['ansi-underline'], colour: '#ff8700' },
  ]);
  assert.equal(spansOf('\u001B[48;2;1;2;300mx'), [{ text: 'x', classes: [], background: '#0102ff' }]);
  assert.equal(spansOf('\u001B[38;5;3mx'), [{ text: 'x', classes: ['ansi-fg-3'] }]);
  assert.equal(spansOf('\u001B[38;5;244mx'), [{ text: 'x', classes: [], colour: '#808080' }]);
});

test('colours in the form with colons are the same, with a colour space or without', () => {
  const orange = [{ text: 'x', classes: ['ansi-underline'], colour: '#ff8700' }];
  for (const code of [
    '38:2::255:135:0;4',
    '38:2:1:255:135:0;4',
    '38:2:255:135:0;4',
    '38:5:208;4:3',
    '4;38:2::255:135:0:::',
  ]) {
    assert.equal(spansOf(`\u001B[${code}mx`), orange, code);
  }
  assert.equal(spansOf('\u001B[4m\u001B[4:0;48:5:1mx'), [{ text: 'x', classes: ['ansi-bg-1'] }]);
});

test('sequences that end early or mean nothing colour nothing', () => {
  for (const code of ['38', '38;5', '38;9;1', '38:', '38:2:1', '38:5', '38:9:1', '999', '', ':']) {
    assert.is(
      spansOf(`\u001B[${code}mx`)
        .map(({ text }) => text)
        .join(''),
      'x',
      code,
    );
  }
  assert.is(textOf('\u001B[1ma\u001B[0m b'), 'a b');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawLine } from '../../../coordinator/dashboard/build/drawn-line.ts';
import { LogSearch, type LogLine } from '../../../coordinator/dashboard/build/log-lines.ts';

const escape = '\u001B';

/** Marked pieces in brackets, what is coloured in parentheses. */
function drawn(line: string, wanted: string): string {
  return drawLine(line, wanted)
    .pieces.map(({ text, classes, isMarked }) => {
      const shown = isMarked ? `[${text}]` : text;
      return classes.length > 0 ? `(${shown})` : shown;
    })
    .join('');
}

test('what is searched for is marked, in whatever case and across colours', () => {
  assert.is(drawn('a line', ''), 'a line');
  assert.is(drawn('One oNe two', 'one'), '[One] [oNe] two');
  assert.is(drawn(`a ne${escape}[31med${escape}[1mle${escape}[0m b`, 'NEEDLE'), 'a [ne]([ed])([le]) b');
  assert.is(drawn(`aa${escape}[31maa`, 'aaa'), '[aa]([a])(a)');
  assert.is(drawn('x.*[y]', '.*['), 'x[.*[]y]');
  // A letter that becomes two when it is made small moves no mark.
  assert.is(drawn('\u0130\u0130 needle', 'needle'), '\u0130\u0130 [needle]');
});

test('of a line of any length a bounded part is drawn, and the rest is counted', () => {
  const long = drawLine('x'.repeat(60_000), 'x');
  assert.is(long.pieces.length, 201);
  assert.is(long.pieces.filter(({ isMarked }) => isMarked).length, 200);
  assert.equal([long.rest, long.isFurther], [56_000, false]);
  const colourful = Array.from({ length: 3000 }, (_, at) => `${escape}[${31 + (at % 6)}m${at % 10}`).join('');
  const { pieces, rest } = drawLine(colourful, '7');
  assert.ok(pieces.length <= 400, `${pieces.length} pieces`);
  assert.is(
    pieces.reduce((sum, { text }) => sum + text.length, rest),
    3000,
  );
  const faces = drawLine(`a${'\u{1F600}'.repeat(3000)}`, '');
  assert.is(faces.pieces[0]?.text.length, 3999);
  assert.is(faces.rest, 2002);
});

test('a match is said to be further on only where none is in sight', () => {
  const line = `${'z'.repeat(10_000)}faraway`;
  assert.is(drawLine(line, 'faraway').isFurther, true);
  assert.is(drawLine(`faraway ${line}`, 'faraway').isFurther, false);
  assert.is(drawLine(line, 'nowhere').isFurther, false);
});

test('endless lines are counted by their matches, however many each has', () => {
  const lines = ['x'.repeat(64 * 1024), 'none', `${'x'.repeat(64 * 1024)}Y`].map((text): LogLine => ({
    kind: 'output',
    time: 0,
    text,
  }));
  const search = new LogSearch();
  assert.equal(search.update('X', { lines, dropped: 0 }), [0, 2]);
  assert.equal(search.update('xy', { lines, dropped: 0 }), [2]);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LogLines } from '../../../agent/engine/log-lines.ts';
import { Mask } from '../../../shared/mask/mask.ts';

test('gives the same lines wherever the output is cut [L1]', () => {
  const output = Buffer.from('first\n\nhéllo 日本 😀\r\nlast without end');
  for (let cut = 0; cut <= output.length; cut++) {
    const lines = new LogLines(new Mask());
    const texts = [
      ...lines.push(output.subarray(0, cut)),
      ...lines.push(output.subarray(cut)),
      ...lines.end(),
    ];
    assert.is(texts.join('\n'), output.toString(), `cut at ${cut}`);
  }
});

test('bounds a line that never ends, without splitting a character [L1]', () => {
  const lines = new LogLines(new Mask());
  const output = '€'.repeat(100_000);
  const texts = [...lines.push(Buffer.from(output)), ...lines.end()];
  assert.is(texts.join(''), output);
  assert.ok(texts.every((text) => Buffer.byteLength(text) <= 64 << 10));
});

test('masks a secret across the place where a long line is cut', () => {
  const mask = new Mask();
  mask.add('one secret');
  for (let before = (64 << 10) - 12; before <= 64 << 10; before += 1) {
    const lines = new LogLines(mask);
    const output = Buffer.from(`${'-'.repeat(before)}one secret\nnext`);
    const texts = [...lines.push(output.subarray(0, before + 4)), ...lines.push(output.subarray(before + 4))];
    assert.is([...texts, ...lines.end()].join('').replaceAll('-', ''), '***next');
  }
});

test.run();

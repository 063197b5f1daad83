import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LogLines } from '../../../agent/engine/log-lines.ts';

test('gives the same lines wherever the output is cut', () => {
  const output = Buffer.from('first\n\nhéllo 日本 😀\r\nlast without end');
  for (let cut = 0; cut <= output.length; cut++) {
    const lines = new LogLines();
    const texts = [
      ...lines.push(output.subarray(0, cut)),
      ...lines.push(output.subarray(cut)),
      ...lines.end(),
    ];
    assert.is(texts.join('\n'), output.toString(), `cut at ${cut}`);
  }
});

test('bounds a line that never ends, without splitting a character', () => {
  const lines = new LogLines();
  const output = '€'.repeat(100_000);
  const texts = [...lines.push(Buffer.from(output)), ...lines.end()];
  assert.is(texts.join(''), output);
  assert.ok(texts.every((text) => Buffer.byteLength(text) <= 64 << 10));
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readOutput } from '../../../agent/engine/container-output.ts';

function frame(stream: number, text: string): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

async function read(chunks: readonly Buffer[]): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  for await (const { stream, bytes } of readOutput(source())) texts[stream] += bytes.toString();
  return texts;
}

test('takes the streams apart, wherever the bytes are cut', async () => {
  const all = Buffer.concat([frame(1, 'one '), frame(2, 'oops'), frame(1, ''), frame(1, 'two')]);
  for (let cut = 0; cut <= all.length; cut += 1) {
    const told = await read([all.subarray(0, cut), all.subarray(cut)]);
    assert.equal(told, { stdout: 'one two', stderr: 'oops' }, `cut at ${cut}`);
  }
});

test('passes on what came of a frame that never ends', async () => {
  assert.equal(await read([frame(2, 'half of it').subarray(0, 12)]), { stdout: '', stderr: 'half' });
});

test.run();

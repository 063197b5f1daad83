import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FramePool } from '../../../shared/context/frame-pool.ts';
import { Random } from '../../support/random.ts';

test('frames hold the pieces in order, also while some of them wait to be sent', async () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const pool = new FramePool(1000);
  for (let round = 0; round < 50; round++) {
    const pieces = Array.from({ length: 30 }, () => randomBytes(random.between(0, 2500)));
    const sent: Buffer[] = [];
    const waiting: { bytes: Buffer; release: () => void }[] = [];
    for await (const frame of pool.join(listed(pieces))) {
      assert.ok(frame.bytes.length > 0 && frame.bytes.length <= 1000);
      waiting.push(frame);
      while (waiting.length > random.between(0, 5)) {
        const first = waiting.shift();
        sent.push(Buffer.from(first?.bytes ?? []));
        first?.release();
      }
    }
    for (const { bytes, release } of waiting) {
      sent.push(Buffer.from(bytes));
      release();
    }
    assert.ok(Buffer.concat(sent).equals(Buffer.concat(pieces)));
  }
});

test('what came before a failure is given too', async () => {
  const given: Buffer[] = [];
  const failing = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('some');
    throw new Error('no more');
  };
  try {
    for await (const { bytes } of new FramePool(1000).join(failing())) given.push(bytes);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), 'no more');
  }
  assert.is(Buffer.concat(given).toString(), 'some');
});

async function* listed(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

test.run();

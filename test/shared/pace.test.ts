import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pace, type PaceLimits } from '../../shared/pace.ts';

const limits: PaceLimits = { messages: 200, burst: 400, bytes: 1e6, byteBurst: 2e6, patience: 30_000 };
const small = { bytes: 10, isOutput: false };

/** What happens to a peer that always has one more message, for so many milliseconds. */
function talk(pace: Pace, spent: { bytes: number; isOutput: boolean }, milliseconds: number) {
  let now = 0;
  let taken = 0;
  while (now <= milliseconds) {
    const verdict = pace.spend(spent, now);
    if (verdict === 'cut') return { taken, cutAt: now };
    taken += 1;
    now += verdict;
  }
  return { taken, cutAt: undefined };
}

test('a burst goes through, then as many as are allowed, then the peer is cut', () => {
  const wide = { ...limits, bytes: 1e9, byteBurst: 1e9 };
  const { taken, cutAt } = talk(new Pace(wide, 0), small, 60_000);
  assert.ok(cutAt !== undefined && cutAt > 30_000 && cutAt < 32_000, String(cutAt));
  // 400 at once, and 200 in each of 30 s.
  assert.ok(taken > 400 + 29 * 200 && taken <= 400 + 32 * 200, String(taken));
});

test('one that rests now and then is never cut', () => {
  const pace = new Pace({ ...limits, bytes: 1e9, byteBurst: 1e9 }, 0);
  for (let second = 0; second < 600; second += 3) {
    for (let count = 0; count < 450; count += 1) assert.is.not(pace.spend(small, second * 1000), 'cut');
  }
});

test('output counts by its bytes, and small pieces of it as no less than 8 KiB', () => {
  const pace = new Pace(limits, 0);
  for (let count = 0; count < 244; count += 1) assert.is(pace.spend({ bytes: 1, isOutput: true }, 0), 0);
  assert.is.not(pace.spend({ bytes: 1, isOutput: true }, 0), 0);
  assert.is(new Pace(limits, 0).spend({ bytes: 1.9e6, isOutput: true }, 0), 0);
});

test.run();

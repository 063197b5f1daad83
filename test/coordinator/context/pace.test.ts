import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pace } from '../../../coordinator/context/pace.ts';

test('calls that answer at once stay direct, also with a long one among them', () => {
  const pace = new Pace();
  for (let round = 0; round < 100; round++) {
    pace.made(1, 40);
    for (let call = 0; call < 1000; call++) pace.made(1, 0.01);
    assert.ok(pace.isDirect);
  }
});

test('calls that have to wait go to the pool, and are tried again ever more rarely', () => {
  const pace = new Pace();
  const untilPooled = (): void => {
    for (let call = 0; call < 100 && pace.isDirect; call++) pace.made(1, 1);
    assert.not.ok(pace.isDirect);
  };
  for (const calls of [1000, 2000, 4000]) {
    untilPooled();
    pace.made(calls - 1);
    assert.not.ok(pace.isDirect);
    pace.made(1);
    assert.ok(pace.isDirect);
  }
});

test('the pool can be had for good', () => {
  const pace = new Pace({ pooled: true });
  pace.made(1_000_000);
  assert.not.ok(pace.isDirect);
});

test.run();

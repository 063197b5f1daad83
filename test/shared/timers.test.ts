import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Backoff } from '../../shared/backoff.ts';
import { defaultTimers, scaleTimers, timersFrom } from '../../shared/timers.ts';

test('pauses double up to their cap, and begin again after a reset', () => {
  const backoff = new Backoff({ first: 500, max: 30_000, random: () => 1 });
  const pauses = Array.from({ length: 9 }, () => backoff.next());
  assert.equal(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  for (let tries = 0; tries < 2000; tries++) assert.is(backoff.next(), 30_000);
  backoff.reset();
  assert.is(backoff.next(), 500);
});

test('the jitter is full: any pause from nothing to the bound', () => {
  const values = [0, 0.5, 0.999];
  for (const value of values)
    assert.is(new Backoff({ first: 100, max: 1000, random: () => value }).next(), value * 100);
  const real = new Backoff({ first: 100, max: 100 });
  const pauses = Array.from({ length: 200 }, () => real.next());
  assert.ok(pauses.every((pause) => pause >= 0 && pause < 100));
  assert.ok(new Set(pauses).size > 100);
});

test('all timers scale together', () => {
  const scaled = scaleTimers(0.1);
  for (const [name, value] of Object.entries(defaultTimers))
    assert.is(Reflect.get(scaled, name), value * 0.1, name);
});

test('the environment scales the defaults, and nonsense there changes nothing', () => {
  assert.is(timersFrom({ ARCHFARM_TIMERS: '0.5' }).heartbeat, 5000);
  for (const text of [undefined, '', '0', '-1', 'fast', 'NaN', 'Infinity', '11'])
    assert.equal(timersFrom({ ARCHFARM_TIMERS: text }), defaultTimers, text);
});

test('the defaults leave room for what they wait for', () => {
  const { heartbeat, suspect, lost, cutOff, grace, drain } = defaultTimers;
  assert.ok(heartbeat * 2 < suspect && suspect < lost && lost <= grace);
  assert.ok(lost < cutOff && drain <= cutOff);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interrupts } from '../../../coordinator/cli/interrupts.ts';

test('the first one asks for an end, and nobody takes a second one by default', () => {
  const interrupts = new Interrupts();
  assert.ok(interrupts.take('SIGINT'));
  assert.match(String(interrupts.signal.reason), /interrupted \(SIGINT\)/);
  assert.not(interrupts.take('SIGTERM'));
});

test('a command that takes a second one gets it, and a third one ends the process', () => {
  const interrupts = new Interrupts();
  const second = interrupts.second();
  assert.is(interrupts.second(), second);
  assert.ok(interrupts.take('SIGINT'));
  assert.not(second.aborted);
  assert.ok(interrupts.take('SIGTERM'));
  assert.match(String(second.reason), /interrupted \(SIGTERM\)/);
  assert.not(interrupts.take('SIGINT'));
});

test.run();

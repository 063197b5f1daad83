import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Capabilities } from '../../../coordinator/registry/capabilities.ts';

const MiB = 1024 * 1024;

test('a registry that never mounted is not asked for any mount, one that did only not for the pair', () => {
  const never = new Capabilities(() => 0);
  never.mountRefused('a', 'b', true);
  assert.not(never.mayMount('a', 'b'));
  assert.not(never.mayMount('c', 'd'));
  const sometimes = new Capabilities(() => 0);
  sometimes.mounted();
  sometimes.mountRefused('a', 'b', true);
  assert.not(sometimes.mayMount('a', 'b'));
  assert.ok(sometimes.mayMount('c', 'b'));
  const rights = new Capabilities(() => 0);
  rights.mountRefused('a', 'b', false);
  assert.ok(rights.mayMount('b', 'a'));
});

test('what a registry did not do is tried again after a while', () => {
  let now = 0;
  const capabilities = new Capabilities(() => now);
  capabilities.mountRefused('a', 'b', true);
  capabilities.chunksRefused();
  assert.ok(capabilities.tooLarge(100 * MiB));
  assert.not(capabilities.takesChunks);
  assert.is(capabilities.bodyLimit, 8 * MiB);
  now = 600_000;
  assert.ok(capabilities.mayMount('a', 'b'));
  assert.ok(capabilities.takesChunks);
  assert.is(capabilities.bodyLimit, Infinity);
});

test('pieces shrink with every refusal, down to where they make no sense', () => {
  const capabilities = new Capabilities(() => 0);
  assert.is(capabilities.chunkSize, 8 * MiB);
  assert.ok(capabilities.tooLarge(8 * MiB));
  assert.is(capabilities.chunkSize, 2 * MiB);
  // A large one refused late says nothing new.
  assert.ok(capabilities.tooLarge(100 * MiB));
  assert.is(capabilities.chunkSize, 2 * MiB);
  assert.not(capabilities.tooLarge(100_000));
});

test('pairs that were refused do not grow without bound', () => {
  const capabilities = new Capabilities(() => 0);
  for (let count = 0; count < 1_001; count++) capabilities.mountRefused(`a${count}`, 'b', false);
  assert.ok(capabilities.mayMount('a0', 'b'));
  assert.not(capabilities.mayMount('a1000', 'b'));
});

test.run();

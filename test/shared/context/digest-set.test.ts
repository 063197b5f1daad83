import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DigestSet } from '../../../shared/context/digest-set.ts';
import { Random } from '../../support/random.ts';

function digestOfNumber(number: number): string {
  return `sha256:${createHash('sha256').update(String(number)).digest('hex')}`;
}

test('holds what a Set holds, in the same order', () => {
  const random = new Random(7);
  const compact = new DigestSet();
  const plain = new Set<string>();
  for (let step = 0; step < 20_000; step++) {
    const digest = digestOfNumber(random.between(0, 8000));
    if (random.chance(0.3)) {
      assert.is(compact.has(digest), plain.has(digest));
    } else {
      assert.is(compact.add(digest), !plain.has(digest));
      plain.add(digest);
    }
  }
  assert.is(compact.size, plain.size);
  assert.equal([...compact], [...plain]);
  for (let number = 0; number < 8000; number++) {
    assert.is(compact.has(digestOfNumber(number)), plain.has(digestOfNumber(number)));
  }
});

test('is quick with digests that were chosen to look alike', () => {
  const alike = Array.from(
    { length: 50_000 },
    (_, index) => `sha256:${'0'.repeat(48)}${(index * 2 ** 20).toString(16).padStart(16, '0')}`,
  );
  const started = process.cpuUsage();
  const set = new DigestSet(alike);
  assert.is(set.size, alike.length);
  assert.ok(alike.every((digest) => set.has(digest)));
  const { user } = process.cpuUsage(started);
  assert.ok(user < 3_000_000, `${user} µs`);
});

test('gives what is added while it is walked through', () => {
  const set = new DigestSet([digestOfNumber(0)]);
  const seen: string[] = [];
  for (const digest of set) {
    seen.push(digest);
    if (set.size < 100) set.add(digestOfNumber(set.size));
  }
  assert.is(seen.length, 100);
});

test('knows the digest of zeros, and takes nothing that is no digest', () => {
  const zeros = `sha256:${'0'.repeat(64)}`;
  const set = new DigestSet();
  assert.not.ok(set.has(zeros));
  assert.ok(set.add(zeros));
  assert.ok(set.has(zeros));
  for (const bad of ['', 'sha256:', zeros.slice(0, -1), `${zeros}0`, `sha256:${'g'.repeat(64)}`]) {
    assert.not.ok(set.has(bad));
    assert.throws(() => set.add(bad), /no digest/);
  }
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MutableCopy } from './mutate.ts';
import { mutations } from './mutations.ts';

/** One of two test files, which run side by side: every other mistake. */
export function testMutations(part: 0 | 1): void {
  let copy: MutableCopy;

  test.before(async () => {
    copy = await MutableCopy.create();
  });

  test.after(() => copy[Symbol.asyncDispose]());

  for (const mutation of mutations.filter((_, index) => index % 2 === part)) {
    const { name, seed, invariant } = mutation;
    test(`finds ${name} with seed ${seed}, or one near`, async () => {
      const found = (await copy.violation(mutation)) ?? (await copy.violation(mutation, '1-8'));
      assert.match(found ?? 'nothing was found', new RegExp(`^seed \\d+: Violation: (?:${invariant}): `));
    });
  }

  test('says so when the source has nothing of a mistake to make', async () => {
    const [mutation] = mutations;
    if (mutation === undefined) return assert.unreachable();
    try {
      await copy.violation({ ...mutation, find: 'a line that nobody wrote' });
    } catch (thrown) {
      return assert.match(String(thrown), /has its text not/);
    }
    return assert.unreachable('it ran');
  });
}

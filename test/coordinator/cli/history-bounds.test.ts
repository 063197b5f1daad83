import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readHistoryBounds, readLogLimit } from '../../../coordinator/cli/history-bounds.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

test('reads what is given and leaves the rest to the defaults', () => {
  assert.equal(readHistoryBounds({}), {});
  assert.equal(readHistoryBounds({ keepBuilds: '500', keepAge: '90d', keepLogs: '2GiB' }), {
    builds: 500,
    age: 90 * 24 * 3_600_000,
    logs: 2 * 1024 ** 3,
  });
  assert.equal(readHistoryBounds({ keepAge: '12h' }), { age: 12 * 3_600_000 });
  assert.equal(readHistoryBounds({ keepLogs: '0' }), { logs: 0 });
  assert.is(readLogLimit({}), undefined);
  assert.is(readLogLimit({ logLimit: '8GiB' }), 8 * 1024 ** 3);
});

test('refuses what would keep nothing, or is no bound, by the name of the flag', () => {
  const wrong = [
    [{ keepBuilds: '0' }, /--keep-builds "0"/],
    [{ keepBuilds: 'all' }, /--keep-builds "all"/],
    [{ keepAge: '0d' }, /--keep-age 0d/],
    [{ keepAge: 'long' }, /--keep-age "long"/],
    [{ keepLogs: 'much' }, /--keep-logs "much"/],
  ] as const;
  for (const [flags, message] of wrong) {
    assert.throws(
      () => readHistoryBounds(flags),
      (error: unknown) =>
        error instanceof ArchfarmError && error.code === 'usage' && message.test(error.message),
    );
  }
});

test('refuses a limit of logs that is no size', () => {
  assert.throws(() => readLogLimit({ logLimit: 'all' }), /--log-limit "all"/);
});

test.run();

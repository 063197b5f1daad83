import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatStoreUsage } from '../../../shared/context/store-usage.ts';

const usage = { bytes: 1_234_000_000, maxBytes: 2e9, hits: 0, hitBytes: 0, misses: 0, missBytes: 0 };

test('says how large a store is and what part of the bytes was here', () => {
  assert.is(formatStoreUsage(usage), '1.2 GB');
  assert.is(formatStoreUsage({ ...usage, bytes: 0 }), '0 B');
  assert.is(formatStoreUsage({ ...usage, hitBytes: 97, missBytes: 3 }), '1.2 GB, 97 % here');
  assert.is(formatStoreUsage({ ...usage, missBytes: 3 }), '1.2 GB, 0 % here');
  assert.is(formatStoreUsage({ ...usage, hitBytes: 3 }), '1.2 GB, 100 % here');
  assert.is(formatStoreUsage({ ...usage, hitBytes: 1_000_000, missBytes: 1 }), '1.2 GB, 99 % here');
});

test.run();

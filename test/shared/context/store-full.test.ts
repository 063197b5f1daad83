import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chunkedBytes } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import { failureOf } from '../../support/failure.ts';
import { fillDisk, smallDisk } from '../../support/small-disk.ts';
import { storeContent, storedContent } from '../../support/stored-content.ts';

for (const [name, size, room] of [
  ['a small content', 30_000, 0],
  ['a small content that fits by half', 60_000, 16_384],
  ['a file', 1_000_000, 0],
  ['a file that fits by half', 1_000_000, 500_000],
  ['a chunked content', chunkedBytes + 1000, 0],
  ['a chunked content that fits by half', chunkedBytes + 1000, 4_000_000],
] as const) {
  test(`${name} on a full disk fails with disk-full, and the store works once there is space`, async () => {
    await using disk = await smallDisk(24 * 1024 * 1024);
    const path = join(disk.path, 'store');
    const [earlier, content, later] = [randomBytes(5000), randomBytes(size), randomBytes(5000)];
    await using store = await BlobStore.open(path);
    await storeContent(store, earlier);
    {
      await using _full = await fillDisk(disk.path, room);
      const failure = await failureOf(storeContent(store, content));
      assert.is(failure.code, 'disk-full');
      assert.match(failure.message, path);
      assert.ok(failure.hint);
      assert.not(await store.has({ kind: 'blob', digest: digestOf(content), size }));
      assert.equal(await readdir(join(path, 'temp')), [], 'nothing unfinished is left');
      assert.ok((await storedContent(store, { digest: digestOf(earlier), size: 5000 }))?.equals(earlier));
    }
    for (const each of [content, later]) await storeContent(store, each);
    await using next = await BlobStore.open(path);
    for (const reader of [store, next]) {
      for (const each of [earlier, content, later]) {
        const found = await storedContent(reader, { digest: digestOf(each), size: each.length });
        assert.ok(found?.equals(each), `${each.length} bytes`);
      }
    }
    assert.ok((await readdir(join(path, 'packs'))).length <= 2);
  });
}

for (const size of [60_000, 1_000_000]) {
  test(`a full disk has room again for ${size} bytes, of what was used least lately and nobody relies on`, async () => {
    await using disk = await smallDisk(24 * 1024 * 1024);
    await using store = await BlobStore.open(join(disk.path, 'store'), { recentOnFullDisk: 0 });
    const [pinned, ...others] = Array.from({ length: 12 }, () => randomBytes(500_000));
    const relied = await storeContent(store, pinned!);
    using _pin = store.pin(new Set([relied]));
    const digests: string[] = [];
    for (const each of others) digests.push(await storeContent(store, each));
    await using _full = await fillDisk(disk.path, 0);
    const content = randomBytes(size);
    // All at once: some of what they want is made for the others.
    const more = Array.from({ length: 3 }, () => randomBytes(size));
    await Promise.all([content, ...more].map((each) => storeContent(store, each)));
    for (const each of [pinned!, content, ...more]) {
      const found = await storedContent(store, { digest: digestOf(each), size: each.length });
      assert.ok(found?.equals(each));
    }
    for (const digest of digests) assert.not(await store.has({ kind: 'blob', digest, size: 500_000 }));
  });
}

test('what was used lately stays while somebody asks for that, and room is looked for again after it', async () => {
  await using disk = await smallDisk(4 * 1024 * 1024);
  await using store = await BlobStore.open(join(disk.path, 'store'), { recentOnFullDisk: 0 });
  const [recent, content] = [randomBytes(500_000), randomBytes(60_000)];
  await storeContent(store, recent);
  await using _full = await fillDisk(disk.path, 0);
  {
    using _kept = await store.keepRecent();
    assert.is((await failureOf(storeContent(store, content))).code, 'disk-full');
    assert.ok(await store.has({ kind: 'blob', digest: digestOf(recent), size: recent.length }));
  }
  await storeContent(store, content);
  assert.not(await store.has({ kind: 'blob', digest: digestOf(recent), size: recent.length }));
});

test('what was pinned goes once it is not, however often room was looked for in vain', async () => {
  await using disk = await smallDisk(4 * 1024 * 1024);
  await using store = await BlobStore.open(join(disk.path, 'store'), { recentOnFullDisk: 0 });
  const [recent, content] = [randomBytes(500_000), randomBytes(60_000)];
  const pin = store.pin(new Set([await storeContent(store, recent)]));
  await using _full = await fillDisk(disk.path, 0);
  for (let attempt = 0; attempt < 2; attempt += 1)
    assert.is((await failureOf(storeContent(store, content))).code, 'disk-full');
  pin[Symbol.dispose]();
  await storeContent(store, content);
});

test('what another process may rely on stays, also on a full disk', async () => {
  await using disk = await smallDisk(4 * 1024 * 1024);
  await using store = await BlobStore.open(join(disk.path, 'store'));
  const recent = randomBytes(500_000);
  await storeContent(store, recent);
  await using _full = await fillDisk(disk.path, 0);
  assert.is((await failureOf(storeContent(store, randomBytes(60_000)))).code, 'disk-full');
  const found = await storedContent(store, { digest: digestOf(recent), size: recent.length });
  assert.ok(found?.equals(recent));
});

test('a store that begins on a full disk says so', async () => {
  await using disk = await smallDisk(64 * 1024);
  await using _full = await fillDisk(disk.path, 0);
  await using store = await BlobStore.open(join(disk.path, 'store'));
  assert.is((await failureOf(storeContent(store, randomBytes(100)))).code, 'disk-full');
});

test.run();

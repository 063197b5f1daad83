import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chunkedBytes } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import { systemCode } from '../../../shared/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { storeContent, storedContent } from '../../support/stored-content.ts';

/** Takes the space that is left, but for so many bytes. */
async function fill(disk: string, but: number): Promise<AsyncDisposable> {
  const path = join(disk, 'filler');
  const cut = async (): Promise<void> => {
    for (let size = 1024 * 1024; size >= 4096; size /= 2) {
      for (;;) {
        const outcome = await writeFile(path, Buffer.alloc(size), { flag: 'a' }).catch(systemCode);
        if (outcome === 'ENOSPC') break;
      }
    }
  };
  const spare = join(disk, 'spare');
  if (but > 0) await writeFile(spare, Buffer.alloc(but));
  await cut();
  await rm(spare, { force: true });
  return { [Symbol.asyncDispose]: () => rm(path) };
}

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
      await using _full = await fill(disk.path, room);
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

test('a store that begins on a full disk says so', async () => {
  await using disk = await smallDisk(64 * 1024);
  await using _full = await fill(disk.path, 0);
  await using store = await BlobStore.open(join(disk.path, 'store'));
  assert.is((await failureOf(storeContent(store, randomBytes(100)))).code, 'disk-full');
});

test.run();

import { randomBytes } from 'node:crypto';
import { appendFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import { freeName, stateOf } from '../../../shared/holder.ts';
import { storeContent, storedContent } from '../../support/stored-content.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

function blob(content: Buffer): { kind: 'blob'; digest: string; size: number } {
  return { kind: 'blob', digest: digestOf(content), size: content.length };
}

test('a pack that another process evicted is forgotten, and what it held can be stored again', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(500);
  await storeContent(store, content);
  await store.sweep();
  {
    await using other = await BlobStore.open(directory.path, { recent: 0, maxBytes: 1 });
    await other.sweep();
  }
  await store.sweep();
  assert.not(await store.has(blob(content)));
  await storeContent(store, content);
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
});

test('a pack that vanishes under a process is noticed when it is read', async () => {
  await using directory = await temporaryDirectory();
  const content = randomBytes(500);
  {
    await using store = await BlobStore.open(directory.path);
    await storeContent(store, content);
  }
  await using store = await BlobStore.open(directory.path);
  {
    await using other = await BlobStore.open(directory.path, { recent: 0, maxBytes: 1 });
    await other.sweep();
  }
  assert.is(await storedContent(store, blob(content)), undefined);
  assert.not(await store.has(blob(content)));
  await storeContent(store, content);
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
});

test('a pack that nothing is added to is left to others at the next sweep', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  await storeContent(store, randomBytes(500));
  const packs = join(directory.path, 'packs');
  const [open = ''] = await readdir(packs);
  assert.is(stateOf(open), 'running');
  await store.sweep();
  assert.equal(await readdir(packs), [freeName(open)]);
  await storeContent(store, randomBytes(500));
  assert.equal(await readdir(packs), [open], 'and gone on with after it');
});

test('entries that only a damaged index has are passed over', async () => {
  await using directory = await temporaryDirectory();
  const content = randomBytes(500);
  {
    await using store = await BlobStore.open(directory.path);
    await storeContent(store, content);
  }
  const [pack = ''] = await readdir(join(directory.path, 'packs'));
  // Two entries of noise, and the beginning of a third.
  await appendFile(join(directory.path, 'packs', pack, 'index'), Buffer.alloc(48 * 2 + 7, 0xff));
  await using store = await BlobStore.open(directory.path);
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
  const more = randomBytes(500);
  await storeContent(store, more);
  await using next = await BlobStore.open(directory.path);
  for (const each of [content, more]) assert.ok((await storedContent(next, blob(each)))?.equals(each));
});

test.run();

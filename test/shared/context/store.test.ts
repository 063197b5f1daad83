import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf, encodeDirectory } from '../../../shared/context/encoding.ts';
import { BlobStore, smallBytes } from '../../../shared/context/store.ts';
import { failureOf } from '../../support/failure.ts';
import { collect } from '../../support/memory-tree.ts';
import { storeContent, storedContent } from '../../support/stored-content.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);

/** All files below a directory. */
async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test('small and large contents and directories come back, also to the next process', async () => {
  await using directory = await temporaryDirectory();
  const contents = [1, 1000, smallBytes, smallBytes + 1, 1_000_000].map((size) => randomBytes(size));
  const empty = encodeDirectory({ entries: [] });
  {
    await using store = await BlobStore.open(directory.path);
    await Promise.all(contents.map((content) => storeContent(store, content)));
    await store.put({ kind: 'directory', digest: empty.digest }, empty.record);
  }
  await using store = await BlobStore.open(directory.path);
  for (const content of contents) {
    const digest = digestOf(content);
    assert.ok(await store.has({ kind: 'blob', digest, size: content.length }));
    assert.ok((await storedContent(store, { digest, size: content.length }))?.equals(content));
  }
  assert.equal(await store.directory(empty.digest), { entries: [] });
  assert.not(await store.has({ kind: 'blob', digest: empty.digest, size: 1 }), 'a directory is no content');
});

test('runs one after the other go on with the same pack', async () => {
  await using directory = await temporaryDirectory();
  for (let run = 0; run < 5; run++) {
    await using store = await BlobStore.open(directory.path);
    await storeContent(store, randomBytes(100));
  }
  assert.is((await readdir(join(directory.path, 'packs'))).length, 1);
});

test('two stores on one directory write at the same time and see what the other wrote', async () => {
  await using directory = await temporaryDirectory();
  await using left = await BlobStore.open(directory.path);
  await using right = await BlobStore.open(directory.path);
  const contents = Array.from({ length: 200 }, () => randomBytes(500));
  await Promise.all(contents.map((content, index) => storeContent(index % 2 === 0 ? left : right, content)));
  await left.sweep();
  for (const content of contents)
    assert.ok((await storedContent(left, { digest: digestOf(content), size: 500 }))?.equals(content));
});

test('what was damaged on disk is dropped, reported missing, and can be stored again', async () => {
  await using directory = await temporaryDirectory();
  const contents = [100, 300_000, 3_000_000].map((size) => randomBytes(size));
  const record = encodeDirectory({ entries: [] });
  {
    await using store = await BlobStore.open(directory.path);
    for (const content of contents) await storeContent(store, content);
    await store.put({ kind: 'directory', digest: record.digest }, record.record);
  }
  for (const path of await filesIn(directory.path)) {
    if (path.endsWith('index')) continue;
    const bytes = await readFile(path);
    for (let at = 5; at < bytes.length; at += 20) bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
  await using store = await BlobStore.open(directory.path);
  assert.is(await store.directory(record.digest), undefined);
  // What is too large to be verified before its first byte is given fails before the last.
  const [small, chunk, large] = contents.map((content) => ({
    digest: digestOf(content),
    size: content.length,
  }));
  assert.equal(
    [await storedContent(store, small!), await storedContent(store, chunk!)],
    [undefined, undefined],
  );
  assert.is((await failureOf(storedContent(store, large!))).code, 'blobs-lost');
  for (const content of contents) {
    assert.not(await store.has({ kind: 'blob', digest: digestOf(content), size: content.length }));
    await storeContent(store, content);
    assert.ok(
      (await storedContent(store, { digest: digestOf(content), size: content.length }))?.equals(content),
    );
  }
});

test('who asks for a content by a wrong size gets none, and costs nobody what is whole', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const sizes = [100, 70_000, 300_000, 3_000_000];
  for (const content of sizes.map((size) => randomBytes(size))) {
    const digest = digestOf(content);
    await storeContent(store, content);
    for (const size of [content.length - 1, content.length + 1, ...sizes, 5_000_000]) {
      if (size === content.length) continue;
      const found = await storedContent(store, { digest, size }).catch(() => undefined);
      assert.is(found, undefined, `${content.length} bytes, asked for as ${size}`);
    }
    const found = await storedContent(store, { digest, size: content.length });
    assert.ok(found?.equals(content), `${content.length} bytes`);
  }
});

test('a content that is not what its digest says is not stored, and its readers hear of it', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const blob = { digest: digestOf(Buffer.from('something else')), size: 100_000 };
  const writer = await store.write(blob);
  const reading = failureOf(collect(writer.read(signal)));
  await writer.write(randomBytes(100_000));
  const error = await failureOf(writer.finish());
  await writer.fail(error);
  assert.is(error.code, 'context-changed');
  assert.is((await reading).code, 'context-changed');
  assert.not(await store.has({ kind: 'blob', ...blob }));
  assert.equal(await readdir(join(directory.path, 'temp')), []);
});

test('a reader follows a content while it is written, and one that comes late reads it whole', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(500_000);
  const writer = await store.write({ digest: digestOf(content), size: content.length });
  const early = writer.read(signal);
  await writer.write(content.subarray(0, 10));
  assert.equal((await early.next()).value, content.subarray(0, 10));
  const late = writer.read(signal);
  await writer.write(content.subarray(10));
  await writer.finish();
  assert.ok((await collect(early)).equals(content.subarray(10)));
  assert.ok((await collect(late)).equals(content));
});

test('evicts the least recently used above its size, never what is pinned', async () => {
  await using directory = await temporaryDirectory();
  await using filler = await BlobStore.open(directory.path);
  await using store = await BlobStore.open(directory.path, { maxBytes: 450_000, recent: 60_000 });
  const contents = Array.from({ length: 8 }, () => randomBytes(100_000));
  using _pin = store.pin(new Set(contents.slice(0, 1).map(digestOf)));
  for (const content of contents) await storeContent(filler, content);
  for (const path of await filesIn(join(directory.path, 'blob'))) {
    const age = contents.findIndex((content) => path.endsWith(digestOf(content).slice(7)));
    const time = Date.now() / 1000 - 10_000 + age;
    await utimes(path, time, time);
  }
  await store.sweep();
  const kept = await Promise.all(
    contents.map((content) => store.has({ kind: 'blob', digest: digestOf(content), size: content.length })),
  );
  assert.equal(kept, [true, false, false, false, false, true, true, true]);
});

test('evicts packs too, and what nobody used for long', async () => {
  await using directory = await temporaryDirectory();
  const content = randomBytes(1000);
  {
    await using store = await BlobStore.open(directory.path);
    await storeContent(store, content);
  }
  const old = Date.now() / 1000 - 40 * 24 * 3600;
  for (const path of await filesIn(directory.path)) await utimes(path, old, old);
  await using store = await BlobStore.open(directory.path);
  await store.sweep();
  assert.not(await store.has({ kind: 'blob', digest: digestOf(content), size: 1000 }));
  assert.equal(await filesIn(directory.path), []);
});

test('killed at any point, a process loses nothing that it had stored and leaves a store that works', async () => {
  await using directory = await temporaryDirectory();
  for (let round = 0; round < 5; round++) {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'test/support/store-filler.ts', directory.path],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const stored: { digest: string; size: number }[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const [digest = '', size = ''] = line.split(' ');
      // The kernel may cut the last line.
      if (/^\d+;$/.test(size)) stored.push({ digest, size: Number.parseInt(size, 10) });
      if (stored.length === 40 + round * 37) child.kill('SIGKILL');
    });
    await once(child, 'close');
    assert.is(child.signalCode, 'SIGKILL');
    await using store = await BlobStore.open(directory.path);
    for (const { digest, size } of stored) {
      const content = await storedContent(store, { digest, size });
      assert.ok(content !== undefined && digestOf(content) === digest, `${digest} of ${size} bytes`);
    }
    const more = randomBytes(10);
    assert.ok(
      (await storedContent(store, { digest: await storeContent(store, more), size: 10 }))?.equals(more),
    );
    assert.is((await readdir(join(directory.path, 'packs'))).length, 1, 'what was left open is gone on with');
  }
});

test.run();

import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chunkedBytes, minChunkBytes } from '../../../shared/context/chunks.ts';
import { DigestSet } from '../../../shared/context/digest-set.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { BlobStore, smallBytes } from '../../../shared/context/store.ts';
import { failureOf } from '../../support/failure.ts';
import { recipeOf } from '../../support/memory-tree.ts';
import { storeContent, storedContent } from '../../support/stored-content.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const size = chunkedBytes + 2_000_000;

/** A recipe whose last chunk lies in a pack. */
function contentWithSmallEnd(): Buffer {
  const content = randomBytes(size);
  const recipe = recipeOf(content);
  const last = recipe.at(-1);
  const end = content.length - (last?.size ?? 0) + 1000;
  return end > chunkedBytes ? content.subarray(0, end) : contentWithSmallEnd();
}

function blob(content: Buffer): { kind: 'blob'; digest: string; size: number } {
  return { kind: 'blob', digest: digestOf(content), size: content.length };
}

function pathOf(directory: string, kind: string, digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(directory, kind, hex.slice(0, 2), hex);
}

async function flipByte(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[40] = (bytes[40] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

/** As if nobody had used anything for a while; what comes first in `order` for longest. */
async function age(directory: string, seconds: number): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const time = Date.now() / 1000 - seconds;
  for (const entry of entries) {
    if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), time, time);
  }
}

test('a content above 8 MiB comes back from its chunks, also to the next process', async () => {
  await using directory = await temporaryDirectory();
  const content = contentWithSmallEnd();
  const recipe = recipeOf(content);
  assert.ok((recipe.at(-1)?.size ?? 0) <= smallBytes);
  {
    await using store = await BlobStore.open(directory.path);
    await storeContent(store, content);
  }
  await using store = await BlobStore.open(directory.path);
  assert.ok(await store.has(blob(content)));
  assert.equal(await store.recipe(blob(content)), recipe);
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
});

test('is here only when its recipe and all its chunks are', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(size);
  const recipe = recipeOf(content);
  assert.is(await store.recipe(blob(content)), undefined);
  await store.putRecipe(blob(content), recipe);
  let at = 0;
  for (const chunk of recipe) {
    assert.not(await store.has(blob(content)));
    assert.is(await store.blob(digestOf(content), size), undefined);
    await store.put({ kind: 'blob', digest: chunk.digest }, content.subarray(at, (at += chunk.size)));
  }
  assert.ok(await store.has(blob(content)));
});

test('two versions of a content share the chunks that are alike', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(2 * size);
  await storeContent(store, content);
  const before = store.usage().missBytes;
  await storeContent(
    store,
    Buffer.concat([content.subarray(0, size), randomBytes(9), content.subarray(size)]),
  );
  assert.ok(store.usage().missBytes - before < content.length / 3);
});

test('a damaged chunk is dropped alone: the content fails, is missing, and needs only that chunk again', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(size);
  await storeContent(store, content);
  const recipe = recipeOf(content);
  const damaged = recipe[3];
  assert.ok(damaged);
  await flipByte(pathOf(directory.path, 'blob', damaged.digest));
  assert.is((await failureOf(storedContent(store, blob(content)))).code, 'blobs-lost');
  assert.not(await store.has(blob(content)));
  const here = await Promise.all(recipe.map((chunk) => store.has({ kind: 'blob', ...chunk })));
  assert.equal(
    here,
    recipe.map((chunk) => chunk !== damaged),
  );
  assert.equal(await store.recipe(blob(content)), recipe);
  await storeContent(store, content);
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
});

test('a damaged recipe is dropped', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(size);
  await storeContent(store, content);
  await flipByte(pathOf(directory.path, 'recipe', digestOf(content)));
  assert.is(await store.recipe(blob(content)), undefined);
  assert.not(await store.has(blob(content)));
  assert.equal(await readdir(join(pathOf(directory.path, 'recipe', digestOf(content)), '..')), []);
});

test('a recipe that makes another content is found out before the last chunk is given, and dropped', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const content = randomBytes(size);
  await storeContent(store, content);
  const other = { digest: digestOf(Buffer.from('other')), size };
  await store.putRecipe(other, recipeOf(content));
  let given = 0;
  const reading = (async () => {
    for await (const bytes of (await store.blob(other.digest, size)) ?? []) given += bytes.length;
  })();
  assert.is((await failureOf(reading)).code, 'blobs-lost');
  assert.ok(given < size);
  assert.not(await store.has({ kind: 'blob', ...other }));
  assert.ok(await store.has(blob(content)));
});

test('a pin on a content keeps its recipe and all its chunks, and renews them for other processes', async () => {
  await using directory = await temporaryDirectory();
  const [kept, gone] = [contentWithSmallEnd(), randomBytes(size)];
  await using store = await BlobStore.open(directory.path, { maxBytes: 1, recent: 60_000 });
  await using other = await BlobStore.open(directory.path, { maxBytes: 1, recent: 60_000 });
  // Added after it was pinned, as a set that grows.
  const pinned = new DigestSet();
  using _pin = store.pin(pinned);
  for (const content of [kept, gone]) await storeContent(store, content);
  pinned.add(digestOf(kept));
  await store.sweep();
  await age(directory.path, 3600);
  await store.sweep();
  await other.sweep();
  assert.ok((await storedContent(other, blob(kept)))?.equals(kept));
  assert.not(await store.has(blob(gone)));
  assert.is(await store.recipe(blob(gone)), undefined);
});

test('chunks that a recently used content needs stay, whenever they were last read themselves', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path, { maxBytes: 1, recent: 60_000 });
  const content = contentWithSmallEnd();
  await storeContent(store, content);
  await store.sweep();
  await age(directory.path, 3600);
  assert.ok(await store.recipe(blob(content)));
  await store.sweep();
  assert.ok((await storedContent(store, blob(content)))?.equals(content));
});

test('what was looked for and found is not the next to go', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path, { maxBytes: 1, recent: 60_000 });
  await using other = await BlobStore.open(directory.path, { maxBytes: 1, recent: 60_000 });
  const [large, file, small] = [randomBytes(size), randomBytes(minChunkBytes), randomBytes(10)];
  for (const content of [large, file, small]) await storeContent(store, content);
  await store.sweep();
  await age(directory.path, 3600);
  for (const content of [large, file, small]) assert.ok(await store.has(blob(content)));
  await store.sweep();
  await other.sweep();
  for (const content of [large, file, small]) assert.ok(await other.has(blob(content)));
});

test('says how large it is and how often it could help', async () => {
  await using directory = await temporaryDirectory();
  const [small, large] = [randomBytes(100), randomBytes(size)];
  {
    await using store = await BlobStore.open(directory.path, { maxBytes: 1e9 });
    for (const content of [small, large]) {
      assert.is(await storedContent(store, blob(content)), undefined);
      await storeContent(store, content);
    }
    const { hits, hitBytes, misses, missBytes } = store.usage();
    assert.equal({ hits, hitBytes, missBytes }, { hits: 0, hitBytes: 0, missBytes: size + 100 });
    assert.is(misses, 1 + recipeOf(large).length);
  }
  await using store = await BlobStore.open(directory.path, { maxBytes: 1e9 });
  for (const content of [small, large]) await storedContent(store, blob(content));
  await store.sweep();
  const { bytes, ...counts } = store.usage();
  assert.equal(counts, { maxBytes: 1e9, hits: 2, hitBytes: size + 100, misses: 0, missBytes: 0 });
  const { size: recipeBytes } = await stat(pathOf(directory.path, 'recipe', digestOf(large)));
  assert.is(bytes, size + 100 + recipeBytes);
});

test.run();

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeRecipe } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import type { WantedItem } from '../../../shared/context/transfer-messages.ts';
import { contextServer } from '../../support/context-server.ts';
import { failureOf } from '../../support/failure.ts';
import { collect, partOf, recipeOf } from '../../support/memory-tree.ts';
import { attached, receiving } from '../../support/receiving.ts';
import { storedContent } from '../../support/stored-content.ts';

const megabyte = 1024 * 1024;

function sourceOf(...contents: readonly Buffer[]): ContentSource & { readonly asked: WantedItem[] } {
  const held = new Map(contents.map((content) => [digestOf(content), content]));
  const asked: WantedItem[] = [];
  return {
    asked,
    async open(item) {
      asked.push(item);
      return partOf(item, held);
    },
  };
}

/** The same content with a few bytes changed and a few inserted. */
function edited(content: Buffer): Buffer {
  const at = Math.floor(content.length / 2);
  return Buffer.concat([content.subarray(0, at), randomBytes(1000), content.subarray(at + 10)]);
}

test('a large content that changed a little sends what changed, over both hops', async () => {
  const content = randomBytes(20 * megabyte);
  const next = edited(content);
  const source = sourceOf(content, next);
  await using client = await contextServer(source);
  await using coordinator = await receiving();
  await using _up = attached(coordinator, await client.dial());
  await using server = await contextServer(coordinator.receiver);
  await using agent = await receiving();
  await using _down = attached(agent, await server.dial());
  const hops = [coordinator, agent] as const;
  let before = [0, 0];
  for (const [version, most] of [
    [content, 1.001 * content.length],
    [next, 64 * 1024],
    [next, 0],
  ] as const) {
    const digest = digestOf(version);
    const read = await agent.receiver.blob(digest, version.length, agent.signal);
    assert.ok((await collect(read)).equals(version));
    assert.ok(await agent.store.has({ kind: 'blob', digest, size: version.length }));
    const now = hops.map(({ receiver }) => receiver.receivedBytes);
    for (const [index, bytes] of now.entries()) {
      const sent = bytes - (before[index] ?? 0);
      assert.ok(sent <= most, `${sent} of ${version.length} bytes were sent on hop ${index}`);
    }
    before = now;
    // The coordinator passed on chunks; that they make the content it learns when it fetches that for itself.
    await coordinator.receiver.prefetch(digest, version.length, coordinator.signal);
    assert.ok(await coordinator.store.has({ kind: 'blob', digest, size: version.length }));
    assert.is(coordinator.receiver.receivedBytes, before[0]);
  }
});

test('room that is made while a large content comes is not made of what came', async () => {
  const content = randomBytes(16 * megabyte);
  const digest = digestOf(content);
  const held = new Map([[digest, content]]);
  await using here = await receiving({ recentOnFullDisk: 0 });
  let chunks = 0;
  await using client = await contextServer({
    async open(item) {
      if (item.kind === 'chunk' && ++chunks === 15) await here.store.makeRoom();
      return partOf(item, held);
    },
  });
  await using _attached = attached(here, await client.dial());
  await here.receiver.prefetch(digest, content.length, here.signal);
  assert.ok(chunks >= 15, String(chunks));
  assert.ok(await here.store.has({ kind: 'blob', digest, size: content.length }));
});

test('a chunk that two contents share is sent once, though both are read at the same time', async () => {
  const content = randomBytes(12 * megabyte);
  const other = edited(content);
  await using server = await contextServer(sourceOf(content, other));
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  const read = await Promise.all(
    [content, other, content].map(async (each) =>
      collect(await here.receiver.blob(digestOf(each), each.length, here.signal)),
    ),
  );
  assert.ok(read.every((each, index) => each.equals([content, other, content][index] ?? Buffer.alloc(0))));
  const chunks = [...recipeOf(content), ...recipeOf(other)];
  const distinct = new Map(chunks.map((chunk) => [chunk.digest, chunk.size]));
  const bytes = [...distinct.values()].reduce((sum, size) => sum + size, 0);
  const recipes = encodeRecipe(recipeOf(content)).length + encodeRecipe(recipeOf(other)).length;
  assert.is(here.receiver.receivedBytes, bytes + recipes);
});

test('chunks that make another content are found out before the last bytes, and their recipe is forgotten', async () => {
  const content = randomBytes(9 * megabyte);
  const wrong = randomBytes(9 * megabyte);
  const [digest, size] = [digestOf(content), content.length];
  let isWrong = true;
  const source: ContentSource = {
    async open(item) {
      return partOf(item, new Map([[digest, isWrong ? wrong : content]]));
    },
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  let read = 0;
  const reading = (async () => {
    for await (const bytes of await here.receiver.blob(digest, size, here.signal)) read += bytes.length;
  })();
  assert.is((await failureOf(reading)).code, 'context-changed');
  assert.ok(read < size, 'the last bytes were held back');
  assert.not(await here.store.has({ kind: 'blob', digest, size }));
  assert.is(await here.store.recipe({ digest, size }), undefined);
  isWrong = false;
  await here.receiver.prefetch(digest, size, here.signal);
  assert.ok(await here.store.has({ kind: 'blob', digest, size }));
});

test('a recipe that cannot be one is refused in the words that say so', async () => {
  const [digest, size] = [digestOf(randomBytes(10)), 9 * megabyte];
  const source: ContentSource = {
    open: async () => ({
      size: 100,
      chunks: (async function* () {
        yield randomBytes(100);
      })(),
    }),
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  assert.is((await failureOf(here.receiver.prefetch(digest, size, here.signal))).code, 'context-invalid');
});

test('a chunk that is damaged in the store is the only one that is sent again', async () => {
  const content = randomBytes(9 * megabyte);
  const [digest, size] = [digestOf(content), content.length];
  const source = sourceOf(content);
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  await here.receiver.prefetch(digest, size, here.signal);
  const before = here.receiver.receivedBytes;
  const [first, second] = recipeOf(content);
  const hex = second?.digest.slice('sha256:'.length) ?? '';
  await writeFile(join(here.path, 'blob', hex.slice(0, 2), hex), 'damaged');
  // Whoever reads it finds out, and it is dropped.
  assert.is((await failureOf(storedContent(here.store, { digest, size }))).code, 'blobs-lost');
  await here.receiver.prefetch(digest, size, here.signal);
  assert.is(here.receiver.receivedBytes, before + (second?.size ?? 0));
  assert.is(source.asked.filter((item) => item.digest === first?.digest).length, 1);
});

test('only a chunk of the content is given in its name', async () => {
  const content = randomBytes(9 * megabyte);
  const secret = randomBytes(200_000);
  await using client = await contextServer(sourceOf(content));
  await using here = await receiving();
  await using _link = attached(here, await client.dial());
  await here.store.put({ kind: 'blob', digest: digestOf(secret) }, secret);
  const wanted = { of: digestOf(content), ofSize: content.length, offset: 0 };
  const chunk = { kind: 'chunk', digest: digestOf(secret), size: secret.length, ...wanted } as const;
  assert.is((await failureOf(here.receiver.open(chunk, here.signal))).code, 'blobs-lost');
});

test.run();

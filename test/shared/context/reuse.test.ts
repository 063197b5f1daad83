import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeRecipe, type Recipe } from '../../../shared/context/chunks.ts';
import { Deferred } from '../../../shared/context/deferred.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { partsOf, piecesOf } from '../../../shared/context/pieces.ts';
import { Reuse } from '../../../shared/context/reuse.ts';
import type { Content, ContentSource } from '../../../shared/context/sender.ts';
import type { WantedItem } from '../../../shared/context/transfer-messages.ts';
import { WholeContent } from '../../../shared/context/whole-content.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { contextServer } from '../../support/context-server.ts';
import { collect, partOf, recipeOf } from '../../support/memory-tree.ts';
import { attached, receiving, type Receiving } from '../../support/receiving.ts';

const megabyte = 1024 * 1024;
const content = randomBytes(9 * megabyte);
const next = Buffer.concat([content.subarray(0, 5_000_000), randomBytes(4096), content.subarray(5_004_096)]);
const contents = new Map([content, next].map((each) => [digestOf(each), each]));
const newChunks = recipeOf(next).filter(
  ({ digest }) => !recipeOf(content).some((chunk) => chunk.digest === digest),
);
const wholeBytes = newChunks.reduce((sum, { size }) => sum + size, 0);

/** Answers as it should, except where `answer` gives something else. */
function source(
  answer: (item: WantedItem) => Buffer | undefined,
): ContentSource & { readonly asked: WantedItem[] } {
  const asked: WantedItem[] = [];
  return {
    asked,
    async open(item): Promise<Content> {
      asked.push(item);
      const other = answer(item);
      if (other === undefined) return partOf(item, contents);
      return { size: other.length, chunks: new WholeContent(other) };
    },
  };
}

async function fetched({ receiver, signal }: Receiving, wanted: Buffer): Promise<boolean> {
  return (await collect(await receiver.blob(digestOf(wanted), wanted.length, signal))).equals(wanted);
}

/** Fetches both, and gives the bytes that the second one took. */
async function bytesOfEdit(from: ContentSource, here: Receiving): Promise<number> {
  await using server = await contextServer(from);
  await using _link = attached(here, await server.dial());
  assert.ok(await fetched(here, content));
  const before = here.receiver.receivedBytes;
  assert.ok(await fetched(here, next));
  const [digest, size] = [digestOf(next), next.length];
  assert.ok(await here.store.has({ kind: 'blob', digest, size }), 'it is stored, too');
  return here.receiver.receivedBytes - before;
}

function isOfPieces({ kind }: WantedItem): boolean {
  return kind.endsWith('-pieces') || kind.endsWith('-parts');
}

test('a 4 KiB edit of a large content takes less than 64 KiB', async () => {
  await using here = await receiving();
  const from = source(() => undefined);
  const bytes = await bytesOfEdit(from, here);
  assert.ok(bytes < 48 * 1024, `${bytes} bytes`);
  assert.ok(from.asked.some(isOfPieces));
});

for (const [what, answer] of [
  [
    'pieces cannot be given',
    (item: WantedItem) => {
      if (isOfPieces(item)) throw new ArchfarmError('context-changed', 'gone');
      return undefined;
    },
  ],
  [
    'the list of pieces is none',
    (item: WantedItem) => (item.kind === 'chunk-pieces' ? Buffer.from('?') : undefined),
  ],
  [
    'the list is of another content',
    (item: WantedItem) =>
      item.kind === 'chunk-pieces' ? piecesOf(content.subarray(0, item.size)) : undefined,
  ],
  [
    'the parts are wrong',
    (item: WantedItem) =>
      item.kind === 'chunk-parts'
        ? Buffer.alloc(item.parts.reduce((sum, [, size]) => sum + size, 0))
        : undefined,
  ],
] as const) {
  test(`where ${what}, the whole chunk comes`, async () => {
    await using here = await receiving();
    const bytes = await bytesOfEdit(source(answer), here);
    assert.ok(bytes >= wholeBytes, `${bytes} of ${wholeBytes} bytes`);
  });
}

test('parts of another length than wanted close the connection, and nothing of them is kept', async () => {
  await using here = await receiving();
  let isWrong = true;
  const from = source((item) => (isWrong && item.kind === 'chunk-parts' ? Buffer.alloc(3) : undefined));
  await using server = await contextServer(from);
  const first = attached(here, await server.dial());
  assert.ok(await fetched(here, content));
  const reading = fetched(here, next);
  const error = await first.ended;
  assert.ok(error instanceof ArchfarmError && error.code === 'protocol', String(error));
  for (const { digest, size } of newChunks) assert.not(await here.store.has({ kind: 'blob', digest, size }));
  // On the next connection it goes on.
  isWrong = false;
  await using _second = attached(here, await server.dial());
  assert.ok(await reading);
});

test('a sender that has not said that it gives pieces is not asked for any', async () => {
  await using here = await receiving();
  const from = source(() => undefined);
  await using server = await contextServer(from);
  const socket = await server.dial();
  const ended = here.receiver.attach(socket, here.signal).catch((error: unknown) => error);
  assert.ok(await fetched(here, content));
  assert.ok(await fetched(here, next));
  assert.not(from.asked.some(isOfPieces));
  socket.terminate();
  await ended;
});

for (const asked of ['chunk-pieces', 'chunk-parts'] as const) {
  test(`${asked} that are asked for on a connection that breaks are asked for again on the next`, async () => {
    await using here = await receiving();
    await using server = await contextServer(source(() => undefined));
    let cut = (): void => {};
    let cuts = 0;
    await using breaking = await contextServer(
      source(({ kind }) => {
        if (kind === asked && cuts++ < 1) cut();
        return undefined;
      }),
    );
    const socket = await breaking.dial();
    cut = () => socket.terminate();
    const first = attached(here, socket);
    assert.ok(await fetched(here, content));
    const before = here.receiver.receivedBytes;
    const reading = fetched(here, next);
    await first.ended;
    await using _second = attached(here, await server.dial());
    assert.ok(await reading);
    assert.ok(here.receiver.receivedBytes - before < 64 * 1024);
  });
}

test('of the recipe of a very large content come the pieces that are new', async () => {
  const chunk = (size: number): Recipe[number] => ({ digest: digestOf(randomBytes(8)), size });
  const known = Array.from({ length: 1700 }, () => chunk(600_000));
  const edited = known.with(800, chunk(600_001));
  const record = encodeRecipe(edited);
  const item = { digest: digestOf(record), size: edited.reduce((sum, { size }) => sum + size, 0) };
  let bytes = 0;
  const answered = (answer: Buffer): Buffer => {
    bytes += answer.length;
    return answer;
  };
  const reuse = new Reuse({
    store: {
      blob: async () => undefined,
      recentRecipes: async () => [encodeRecipe(known)],
    },
    ask: async ({ kind, parts }) =>
      answered(kind === 'recipe-pieces' ? piecesOf(record) : partsOf(record, parts ?? [])),
  });
  assert.equal(await reuse.recipe(item, AbortSignal.timeout(10_000)), edited);
  assert.ok(bytes < 34_000, `${bytes} of ${record.length} bytes`);
  assert.is(await reuse.recipe({ ...item, size: 9 * megabyte }, AbortSignal.timeout(10_000)), undefined);
});

test('a chunk that is named like a content is none of the recipe of that', async () => {
  const known = Array.from({ length: 1700 }, () => ({ digest: digestOf(randomBytes(8)), size: 600_000 }));
  const record = encodeRecipe(known);
  const item = { digest: digestOf(record), size: 1700 * 600_000 };
  const answer = new Deferred<Buffer>();
  const reuse = new Reuse({
    store: { blob: async () => undefined, recentRecipes: async () => [record] },
    ask: () => answer.promise,
  });
  const signal = AbortSignal.timeout(10_000);
  const recipe = reuse.recipe(item, signal);
  const chunk = {
    digest: item.digest,
    size: record.length,
    offset: 0,
    of: digestOf(Buffer.of(1)),
    ofSize: 1,
  };
  assert.is(await reuse.chunk(chunk, [chunk], signal), undefined);
  answer.resolve(piecesOf(record));
  assert.equal(await recipe, known);
});

test.run();

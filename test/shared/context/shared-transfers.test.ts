import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import { BlobReceiver } from '../../../shared/context/receiver.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import type { WantedItem } from '../../../shared/context/transfer-messages.ts';
import { Transfers } from '../../../shared/context/transfers.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { contextServer, type ContextServer } from '../../support/context-server.ts';
import { failureOf } from '../../support/failure.ts';
import { collect, partOf } from '../../support/memory-tree.ts';
import { attached } from '../../support/receiving.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

interface Client extends ContextServer {
  readonly asked: WantedItem[];
}

/** A client that has the contents, and answers only once it is let. */
async function client(contents: readonly Buffer[], answer?: ContentSource['open']): Promise<Client> {
  const held = new Map(contents.map((content) => [digestOf(content), content]));
  const asked: WantedItem[] = [];
  const server = await contextServer({
    async open(item, signal) {
      asked.push(item);
      return (await answer?.(item, signal)) ?? partOf(item, held);
    },
  });
  return { ...server, asked };
}

interface Links extends AsyncDisposable {
  readonly store: BlobStore;
  readonly signal: AbortSignal;
  readonly first: BlobReceiver;
  readonly second: BlobReceiver;
}

/** Two receivers over one store, as two clients of one coordinator have. */
async function links(): Promise<Links> {
  const directory = await temporaryDirectory();
  const store = await BlobStore.open(directory.path);
  const transfers = new Transfers(store);
  return {
    store,
    signal: AbortSignal.timeout(300_000),
    first: new BlobReceiver({ store, transfers }),
    second: new BlobReceiver({ store, transfers }),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const gone = new ArchfarmError('client-gone', 'the first client left');

/** Gives so many bytes and then no more. */
function stuckAfter(bytes: number, content: Buffer): ContentSource['open'] {
  return async (_item, signal) => ({
    size: content.length,
    chunks: (async function* () {
      yield content.subarray(0, bytes);
      await once(signal, 'abort');
    })(),
  });
}

test('what two clients are asked for at once comes from one of them', async () => {
  for (const size of [100, 300_000, 9_000_000]) {
    const content = randomBytes(size);
    const digest = digestOf(content);
    await using one = await client([content]);
    await using other = await client([content]);
    await using here = await links();
    await using _one = attached({ receiver: here.first, signal: here.signal }, await one.dial());
    await using _other = attached({ receiver: here.second, signal: here.signal }, await other.dial());
    const read = await Promise.all(
      [here.first, here.second, here.first, here.second].map(async (receiver) =>
        collect(await receiver.blob(digest, size, here.signal)),
      ),
    );
    assert.ok(read.every((each) => each.equals(content)));
    const received = here.first.receivedBytes + here.second.receivedBytes;
    // Each is asked for the recipe of a chunked one: that is 36 bytes for each half a megabyte.
    assert.ok(received >= size && received <= size * 1.001, `${received} bytes of ${size}`);
    await until(() => here.store.has({ kind: 'blob', digest, size }));
  }
});

test('when a client leaves in the middle, the other goes on from there, and no reader notices', async () => {
  for (const size of [50_000, 3_000_000]) {
    const content = randomBytes(size);
    const digest = digestOf(content);
    await using one = await client([content], stuckAfter(size / 2, content));
    await using other = await client([content]);
    await using here = await links();
    await using _one = attached({ receiver: here.first, signal: here.signal }, await one.dial());
    const ofFirst = here.first.blob(digest, size, here.signal).then(collect);
    await until(() => one.asked.length === 1 && (size < 65_536 || here.first.receivedBytes > 0));
    const ofSecond = here.second.blob(digest, size, here.signal).then(collect);
    await using _other = attached({ receiver: here.second, signal: here.signal }, await other.dial());
    await until(() => true);
    assert.is(other.asked.length, 0);
    await here.first.end(gone);
    for (const read of await Promise.all([ofFirst, ofSecond])) assert.ok(read.equals(content));
    assert.is(here.first.receivedBytes + here.second.receivedBytes, size);
    assert.is(other.asked[0]?.offset, here.first.receivedBytes);
  }
});

test('a connection that breaks leaves what it was asked for to whoever is there', async () => {
  const content = randomBytes(1_000_000);
  const digest = digestOf(content);
  await using one = await client([content], stuckAfter(400_000, content));
  await using other = await client([content]);
  await using here = await links();
  const socket = await one.dial();
  await using broken = attached({ receiver: here.first, signal: here.signal }, socket);
  const ofFirst = here.first.blob(digest, content.length, here.signal).then(collect);
  await until(() => here.first.receivedBytes > 0);
  const stored = here.second.prefetch(digest, content.length, here.signal);
  await using _other = attached({ receiver: here.second, signal: here.signal }, await other.dial());
  socket.terminate();
  await broken.ended;
  await stored;
  assert.ok((await ofFirst).equals(content));
  assert.is(here.first.receivedBytes + here.second.receivedBytes, content.length);
});

test('what one client has lost or gives wrongly comes from the other', async () => {
  const content = randomBytes(5000);
  const digest = digestOf(content);
  const answers: readonly ContentSource['open'][] = [
    async () => {
      throw new ArchfarmError('context-changed', '"src/a" changed');
    },
    async () =>
      partOf({ kind: 'blob', digest, size: 5000, offset: 0 }, new Map([[digest, randomBytes(5000)]])),
  ];
  for (const answer of answers) {
    await using one = await client([content], answer);
    await using other = await client([content]);
    await using here = await links();
    await using _one = attached({ receiver: here.first, signal: here.signal }, await one.dial());
    const ofFirst = here.first.blob(digest, 5000, here.signal).then(collect);
    const ofSecond = here.second.blob(digest, 5000, here.signal).then(collect);
    await until(() => one.asked.length > 0);
    await using _other = attached({ receiver: here.second, signal: here.signal }, await other.dial());
    for (const read of await Promise.all([ofFirst, ofSecond])) assert.ok(read.equals(content));
  }
});

test('when nobody is left to ask, each hears of its own client, and the next build can ask again', async () => {
  const content = randomBytes(700_000);
  const digest = digestOf(content);
  await using one = await client([content], stuckAfter(300_000, content));
  await using here = await links();
  await using _one = attached({ receiver: here.first, signal: here.signal }, await one.dial());
  const waits = [
    failureOf(here.first.prefetch(digest, content.length, here.signal)),
    failureOf(here.second.prefetch(digest, content.length, here.signal)),
  ];
  await until(() => here.first.receivedBytes > 0);
  await here.second.end(new ArchfarmError('client-gone', 'the second client left'));
  await here.first.end(gone);
  assert.equal(
    (await Promise.all(waits)).map(({ message }) => message),
    [gone.message, 'the second client left'],
  );
  assert.is((await failureOf(here.first.prefetch(digest, content.length, here.signal))).code, 'client-gone');
});

test('what is wanted no more before it was asked for is not asked for', async () => {
  const [unwanted, wanted] = [randomBytes(100), randomBytes(100)];
  await using one = await client([unwanted, wanted]);
  await using here = await links();
  const stop = new AbortController();
  const prefetch = failureOf(here.first.prefetch(digestOf(unwanted), 100, stop.signal));
  const stored = here.first.prefetch(digestOf(wanted), 100, here.signal);
  await here.store.has({ kind: 'blob', digest: digestOf(wanted), size: 100 });
  stop.abort(new ArchfarmError('cancelled', 'no task wants it any more'));
  assert.is((await prefetch).code, 'cancelled');
  await using _one = attached({ receiver: here.first, signal: here.signal }, await one.dial());
  await stored;
  assert.equal(
    one.asked.map(({ digest }) => digest),
    [digestOf(wanted)],
  );
});

test.run();

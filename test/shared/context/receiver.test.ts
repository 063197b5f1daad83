import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chunkedBytes } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { fetchTree } from '../../../shared/context/fetch-tree.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { BlobReceiver } from '../../../shared/context/receiver.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import { contextServer } from '../../support/context-server.ts';
import { failureOf } from '../../support/failure.ts';
import { collect, dir, inChunks, memoryTree, type Branch } from '../../support/memory-tree.ts';
import { attached, receiving, type Receiving } from '../../support/receiving.ts';
import { Random } from '../../support/random.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { until } from '../../support/until.ts';

const seed = Date.now() % 2 ** 31;
/** Of trees that are cut three times each. */
const rounds = process.env['ARCHFARM_TEST_FULL'] === '1' ? 25 : 5;

function someTree(): ReturnType<typeof memoryTree> {
  const files = Array.from({ length: 300 }, (_, index): [string, Branch] => [
    `file ${index}`,
    randomBytes(index * 37),
  ]);
  return memoryTree(
    dir(['many', dir(...files)], ['large', randomBytes(700_001)], ['empty', ''], ['sub', dir(['x', 'y'])]),
  );
}

async function fetchAll(from: Receiving, tree: ReturnType<typeof memoryTree>): Promise<void> {
  const { receiver, signal } = from;
  const { digests } = await fetchTree(tree, receiver, { limits: defaultLimits, signal });
  const contents = [...tree.blobs].filter(([digest]) => digests.has(digest));
  assert.is(contents.length, tree.blobs.size);
  await Promise.all(
    contents.map(async ([digest, content]) => {
      const received = await collect(await receiver.blob(digest, content.length, signal));
      assert.ok(received.equals(content), `${content.length} bytes of ${digest}`);
    }),
  );
}

test('brings a tree and its contents here once, and knows them from then on', async () => {
  const tree = someTree();
  await using server = await contextServer(tree);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  await fetchAll(here, tree);
  const all = [tree.blobs, tree.records, tree.allTimes].flatMap((contents) => [...contents.values()]);
  const total = all.reduce((sum, each) => sum + each.length, 0);
  assert.is(here.receiver.receivedBytes, total);
  await fetchAll(here, tree);
  assert.is(here.receiver.receivedBytes, total);
});

test('a connection that is cut anywhere is followed by one that brings the rest [X11]', async () => {
  const random = new Random(seed);
  for (let round = 0; round < rounds; round++) {
    const tree = someTree();
    await using server = await contextServer(tree);
    await using here = await receiving();
    const fetching = fetchAll(here, tree);
    const done = fetching.then(
      () => true,
      () => true,
    );
    let cuts = 0;
    while (!(await Promise.race([done, Promise.resolve(false)]))) {
      const socket = await server.dial();
      let left = cuts++ < 3 ? random.between(1, 1_500_000) : Infinity;
      socket.on('message', (data: Buffer) => {
        left -= data.length;
        if (left < 0) socket.terminate();
      });
      await using link = attached(here, socket);
      await Promise.race([done, link.ended]);
    }
    await fetching;
  }
});

test('a large content goes on where it was cut, for a reader who is in the middle of it', async () => {
  const content = randomBytes(3_000_000);
  const digest = digestOf(content);
  const offsets: number[] = [];
  const source: ContentSource = {
    async open({ offset }) {
      offsets.push(offset);
      return { size: content.length - offset, chunks: inChunks(content.subarray(offset)) };
    },
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  const socket = await server.dial();
  const first = attached(here, socket);
  const reader = (await here.receiver.blob(digest, content.length, here.signal))[Symbol.asyncIterator]();
  const parts = [(await reader.next()).value];
  socket.terminate();
  await first.ended;
  await using _second = attached(here, await server.dial());
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) parts.push(next.value);
  assert.ok(Buffer.concat(parts).equals(content));
  assert.is(offsets[0], 0);
  assert.ok((offsets[1] ?? 0) > 0, `asked again from ${offsets[1]}`);
  assert.is(here.receiver.receivedBytes, content.length);
});

test('those who want one content at the same time share one transfer', async () => {
  const content = randomBytes(200_000);
  const tree = memoryTree(dir(['a', content]));
  await using server = await contextServer(tree);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  const all = await Promise.all(
    Array.from({ length: 10 }, async () =>
      collect(await here.receiver.blob(digestOf(content), content.length, here.signal)),
    ),
  );
  assert.ok(all.every((each) => each.equals(content)));
  assert.is(here.receiver.receivedBytes, content.length);
});

test('passes on what is still arriving', async () => {
  const content = randomBytes(300_000);
  const digest = digestOf(content);
  let release: (value?: unknown) => void = () => {};
  const held = new Promise((resolve) => (release = resolve));
  const client: ContentSource = {
    open: async () => ({
      size: content.length,
      chunks: (async function* () {
        yield content.subarray(0, 200_000);
        await held;
        yield content.subarray(200_000);
      })(),
    }),
  };
  await using clientServer = await contextServer(client);
  await using coordinator = await receiving();
  await using _first = attached(coordinator, await clientServer.dial());
  await using coordinatorServer = await contextServer(coordinator.receiver);
  await using agents = new Resources();
  const readers: AsyncIterator<Buffer>[] = [];
  for (let agent = 0; agent < 2; agent++) {
    const here = agents.use(await receiving());
    agents.use(attached(here, await coordinatorServer.dial()));
    readers.push((await here.receiver.blob(digest, content.length, here.signal))[Symbol.asyncIterator]());
  }
  for (const reader of readers) assert.ok((await reader.next()).value.length > 0, 'the first bytes are here');
  release();
  for (const reader of readers) while ((await reader.next()).done !== true);
  assert.is(coordinator.receiver.receivedBytes, content.length);
});

/** Disposes in reverse order; Node 20 has no stack of its own. */
class Resources implements AsyncDisposable {
  readonly #resources: AsyncDisposable[] = [];
  use<T extends AsyncDisposable>(resource: T): T {
    this.#resources.unshift(resource);
    return resource;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#resources) await resource[Symbol.asyncDispose]();
  }
}

test('what an engine waits for overtakes what is only fetched ahead', async () => {
  const ahead = Array.from({ length: 60 }, () => randomBytes(500_000));
  const urgent = randomBytes(1000);
  const tree = memoryTree(
    dir(['urgent', urgent], ...ahead.map((content, index): [string, Branch] => [`${index}`, content])),
  );
  await using server = await contextServer(tree);
  await using here = await receiving();
  const fetches = ahead.map((content) =>
    here.receiver.prefetch(digestOf(content), content.length, here.signal),
  );
  await using _link = attached(here, await server.dial());
  await until(() => here.receiver.receivedBytes > 0);
  await collect(await here.receiver.blob(digestOf(urgent), urgent.length, here.signal));
  const before = here.receiver.receivedBytes;
  assert.ok(before < 12_000_000, `${before} of 30,000,000 bytes came before it`);
  await Promise.all(fetches);
  for (const content of ahead) {
    assert.ok(await here.store.has({ kind: 'blob', digest: digestOf(content), size: content.length }));
  }
});

test('a content nobody has is an error for whoever wants it, in the words of the sender, and for nobody else', async () => {
  const tree = someTree();
  const gone = digestOf(Buffer.from('gone'));
  const source: ContentSource = {
    async open(item, signal) {
      if (item.digest !== gone) return tree.open(item, signal);
      throw new ArchfarmError('context-changed', '"src/a" changed', { hint: 'build again' });
    },
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  const [error] = await Promise.all([
    failureOf(here.receiver.blob(gone, 4, here.signal)),
    fetchAll(here, tree),
  ]);
  assert.equal(
    [error.code, error.message, error.hint],
    ['context-changed', '"src/a" changed', 'build again'],
  );
});

test('a content that fails in the middle takes none of its batch with it', async () => {
  const tree = memoryTree(
    dir(...Array.from({ length: 30 }, (_, index): [string, Branch] => [`${index}`, randomBytes(5000)])),
  );
  const [bad = ''] = tree.blobs.keys();
  const source: ContentSource = {
    async open(item, signal) {
      const content = await tree.open(item, signal);
      if (item.digest !== bad) return content;
      const broken = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.alloc(100);
        throw new ArchfarmError('context-changed', 'it shrank');
      };
      return { size: content.size, chunks: broken() };
    },
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  const results = await Promise.allSettled(
    [...tree.blobs.keys()].map(async (digest) =>
      collect(await here.receiver.blob(digest, 5000, here.signal)),
    ),
  );
  assert.equal(
    results.map(({ status }) => status),
    results.map((_, index) => (index === 0 ? 'rejected' : 'fulfilled')),
  );
});

test('bytes that are not those of the digest are refused, large or small, and not stored [X11]', async () => {
  for (const size of [100, 200_000]) {
    const digest = digestOf(randomBytes(size));
    const source: ContentSource = { open: async () => ({ size, chunks: inChunks(randomBytes(size)) }) };
    await using server = await contextServer(source);
    await using here = await receiving();
    await using _link = attached(here, await server.dial());
    const error = await failureOf(here.receiver.blob(digest, size, here.signal).then(collect));
    assert.is(error.code, 'context-changed');
    assert.not(await here.store.has({ kind: 'blob', digest, size }));
  }
});

test('once nobody will send any more, what is wanted fails with the reason', async () => {
  await using here = await receiving();
  const wanted = failureOf(here.receiver.blob(digestOf(Buffer.from('x')), 1, here.signal));
  await until(() => true);
  await here.receiver.end(new ArchfarmError('client-gone', 'the client left'));
  assert.is((await wanted).code, 'client-gone');
  assert.is(
    (await failureOf(here.receiver.blob(digestOf(Buffer.from('y')), 1, here.signal))).code,
    'client-gone',
  );
});

test('neither side holds a large content in memory, not even when nobody reads it', async () => {
  await using directory = await temporaryDirectory();
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'test/support/large-transfer.ts', directory.path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [output] = await Promise.all([collect(child.stdout), once(child, 'close')]);
  const [received, growth = Infinity] = output.toString().split(' ').map(Number);
  assert.is(received, 120 * 1024 * 1024);
  assert.ok(growth < 80 * 1024 * 1024, `grew by ${Math.round(growth / 1024 / 1024)} MiB`);
});

test('a full disk is an error that names it, and what can be kept in memory reaches its reader all the same', async () => {
  await using disk = await smallDisk(1_000_000);
  await using store = await BlobStore.open(disk.path);
  const receiver = new BlobReceiver({ store });
  const signal = AbortSignal.timeout(120_000);
  // In one piece, and in chunks.
  const sizes = [2_000_000, chunkedBytes + 1];
  const contents = sizes.map((size) => randomBytes(size));
  const small = Array.from({ length: 30 }, () => randomBytes(60_000));
  const blobs = [...contents, ...small];
  await using server = await contextServer(
    memoryTree(dir(...blobs.map((content, index): [string, Branch] => [`${index}`, content]))),
  );
  await using _link = attached({ receiver, signal }, await server.dial());
  for (const content of contents) {
    const error = await failureOf(receiver.blob(digestOf(content), content.length, signal).then(collect));
    assert.is(error.code, 'disk-full');
    assert.match(error.message, disk.path);
  }
  for (const content of small) {
    assert.ok((await collect(await receiver.blob(digestOf(content), 60_000, signal))).equals(content));
  }
  const kept = await Promise.allSettled(
    small.map((content) => receiver.prefetch(digestOf(content), 60_000, signal)),
  );
  assert.ok(kept.some((result) => result.status === 'rejected' && result.reason.code === 'disk-full'));
});

console.log(`seed ${seed}`);
test.run();

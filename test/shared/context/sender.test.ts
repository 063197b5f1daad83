import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { untilAborted } from '../../../shared/abort.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import { contextServer } from '../../support/context-server.ts';
import { dir, inChunks, memoryTree, type Branch } from '../../support/memory-tree.ts';
import { attached, receiving } from '../../support/receiving.ts';
import { until } from '../../support/until.ts';

test('closes the socket on a frame it does not understand', async () => {
  const item = { kind: 'blob', digest: digestOf(Buffer.from('')), size: 0, offset: 0 };
  const frames: (string | Buffer)[] = [
    Buffer.from('binary'),
    '{',
    '{"type":"what"}',
    JSON.stringify({ type: 'want', batch: 1, urgent: true, items: [] }),
    JSON.stringify({ type: 'want', batch: -1, urgent: true, items: [item] }),
    JSON.stringify({ type: 'want', batch: 1, urgent: true, items: [{ ...item, digest: '../etc' }] }),
    JSON.stringify({ type: 'want', batch: 1, urgent: true, items: [{ ...item, extra: 1 }] }),
    JSON.stringify({ type: 'want', batch: 1, urgent: true, items: Array.from({ length: 257 }, () => item) }),
    ...[[], [[0]], [[-1, 5]], [[0, 1.5]], Array.from({ length: 65 }, (_, index) => [index, 1])].map((parts) =>
      JSON.stringify({
        type: 'want',
        batch: 1,
        urgent: true,
        items: [{ ...item, kind: 'recipe-parts', parts }],
      }),
    ),
    JSON.stringify({ type: 'want', batch: 1, urgent: true, items: [{ ...item, kind: 'chunk-pieces' }] }),
  ];
  for (const frame of frames) {
    await using server = await contextServer(memoryTree(dir()));
    const socket = await server.dial();
    socket.send(frame);
    const [code, reason] = await once(socket, 'close');
    assert.is(code, 4400, String(frame));
    assert.ok(String(reason).length > 0);
  }
});

test('what is slow to come holds up nothing that is here, not even of its own batch', async () => {
  const contents = Array.from({ length: 20 }, () => randomBytes(1000));
  const tree = memoryTree(dir(...contents.map((content, index): [string, Branch] => [`${index}`, content])));
  const slow = digestOf(contents[7] ?? Buffer.alloc(0));
  let release: (value?: unknown) => void = () => {};
  const held = new Promise((resolve) => (release = resolve));
  const source: ContentSource = {
    async open(item, signal) {
      if (item.digest === slow) await held;
      return tree.open(item, signal);
    },
  };
  await using server = await contextServer(source);
  await using here = await receiving();
  await using _link = attached(here, await server.dial());
  const coming = contents.map((content) => here.receiver.blob(digestOf(content), 1000, here.signal));
  await Promise.all(coming.filter((_, index) => index !== 7));
  release();
  await Promise.all(coming);
  assert.is(here.receiver.receivedBytes, 20_000);
});

test('an urgent batch overtakes those that are not', async () => {
  const tree = memoryTree(
    dir(...Array.from({ length: 6 }, (_, index): [string, Branch] => [`${index}`, randomBytes(3_000_000)])),
  );
  await using server = await contextServer(tree);
  const socket = await server.dial();
  const ended: number[] = [];
  socket.on('message', (data: Buffer, binary: boolean) => {
    if (!binary) ended.push(JSON.parse(data.toString()).batch);
  });
  for (const [index, [digest, { length: size }]] of [...tree.blobs].entries()) {
    const items = [{ kind: 'blob', digest, size, offset: 0 }];
    socket.send(JSON.stringify({ type: 'want', batch: index, urgent: index === 5, items }));
  }
  await until(() => ended.length === 6);
  socket.terminate();
  assert.ok(ended.indexOf(5) < 3, `it was number ${ended.indexOf(5)} of 6`);
});

test('closes the socket on an item that is wanted again before it was answered', async () => {
  const source: ContentSource = { open: (_item, signal) => untilAborted(new Promise(() => {}), signal) };
  const item = { kind: 'blob', digest: digestOf(Buffer.from('slow')), size: 4, offset: 0 };
  for (const batches of [[[item], [{ ...item, offset: 1 }]], [[item, item]]]) {
    await using server = await contextServer(source);
    const socket = await server.dial();
    for (const [batch, items] of batches.entries())
      socket.send(JSON.stringify({ type: 'want', batch, urgent: batch === 1, items }));
    const [code, reason] = await once(socket, 'close', { signal: AbortSignal.timeout(5000) });
    assert.is(code, 4400);
    assert.is(String(reason), `blob/${item.digest} was wanted again before it was answered`);
  }
});

test('gives an item again to whoever has it, while others of its batch are still sent', async () => {
  const [here, slow] = [randomBytes(140_000), randomBytes(200_000)];
  let release: (value?: unknown) => void = () => {};
  const held = new Promise((resolve) => (release = resolve));
  const source: ContentSource = {
    open: async ({ size }) => ({ size, chunks: size === here.length ? inChunks(here) : slowly() }),
  };
  async function* slowly(): AsyncGenerator<Buffer> {
    yield slow.subarray(0, 150_000);
    await held;
    yield slow.subarray(150_000);
  }
  await using server = await contextServer(source);
  const socket = await server.dial();
  const frames: Buffer[] = [];
  const ended: number[] = [];
  socket.on('message', (data: Buffer, binary: boolean) => {
    if (binary) return void frames.push(data);
    const { batch, more } = JSON.parse(data.toString());
    if (more !== true) ended.push(batch);
    return undefined;
  });
  const [again, other] = [here, slow].map((content) => ({
    kind: 'blob',
    digest: digestOf(content),
    size: content.length,
    offset: 0,
  }));
  socket.send(JSON.stringify({ type: 'want', batch: 1, urgent: true, items: [again, other] }));
  await until(() => Buffer.concat(frames).includes(here.subarray(-1000)));
  socket.send(JSON.stringify({ type: 'want', batch: 2, urgent: true, items: [again] }));
  socket.ping();
  await once(socket, 'pong');
  release();
  await until(() => ended.length === 2 || server.outcomes.length > 0);
  socket.terminate();
  assert.equal(ended, [1, 2]);
});

test('opens no more than it may keep in memory, and then urgent ones first', async () => {
  const content = Buffer.alloc(1024 * 1024);
  const opened: number[] = [];
  let release: (value?: unknown) => void = () => {};
  const held = new Promise((resolve) => (release = resolve));
  const source: ContentSource = {
    async open({ offset, size }) {
      opened.push(offset / content.length);
      await held;
      return { size, chunks: inChunks(content) };
    },
  };
  await using server = await contextServer(source);
  const socket = await server.dial();
  let ended = 0;
  socket.on('message', (_data: Buffer, binary: boolean) => (ended += binary ? 0 : 1));
  const all = Array.from({ length: 60 }, (_, index) => index);
  const [later, urgent] = [all.slice(0, 40), all.slice(40)];
  for (const batch of all) {
    const place = { offset: batch * content.length, of: digestOf(content), ofSize: 60 * content.length };
    const items = [{ kind: 'chunk', digest: digestOf(Buffer.from([batch])), size: content.length, ...place }];
    socket.send(JSON.stringify({ type: 'want', batch, urgent: batch >= later.length, items }));
  }
  // Whoever answers this has taken what came before.
  socket.ping();
  await once(socket, 'pong');
  await until(() => opened.length >= 16);
  assert.equal(opened, [...later.slice(0, 12), ...urgent.slice(0, 4)]);
  release();
  await until(() => ended === 60);
  socket.terminate();
  assert.equal(opened, [...later.slice(0, 12), ...urgent, ...later.slice(12)]);
});

test.run();

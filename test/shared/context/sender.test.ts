import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import { contextServer } from '../../support/context-server.ts';
import { dir, memoryTree, type Branch } from '../../support/memory-tree.ts';
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

test.run();

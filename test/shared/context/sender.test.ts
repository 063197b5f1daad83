import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import { contextServer } from '../../support/context-server.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';

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

test.run();

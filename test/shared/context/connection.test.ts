import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { digestOf } from '../../../shared/context/encoding.ts';
import { portOf } from '../../support/context-server.ts';
import { failureOf } from '../../support/failure.ts';
import { receiving } from '../../support/receiving.ts';

test('closes the socket on frames that break the protocol', async () => {
  const answers: readonly (string | Buffer)[] = [
    '{"type":"what"}',
    '{"type":"end","batch":7}',
    Buffer.alloc(1024, 'no tar '),
    JSON.stringify({ type: 'missing', batch: 1, item: 'blob/x', error: { code: 'internal', message: '' } }),
    JSON.stringify({ type: 'missing', batch: 1, item: 'blob/x', error: { code: 'made-up', message: '' } }),
  ];
  for (const answer of answers) {
    await using server = await answeringServer(answer);
    await using here = await receiving();
    const wanted = failureOf(here.receiver.blob(digestOf(Buffer.from('x')), 1, here.signal));
    const error = await failureOf(here.receiver.attach(await server.dial(), here.signal));
    assert.is(error.code, 'protocol', String(answer));
    assert.is(await server.closed, 4400);
    await here.receiver.end(error);
    await wanted;
  }
});

/** Gives one answer to whatever is said to it. */
async function answeringServer(
  answer: string | Buffer,
): Promise<AsyncDisposable & { dial(): Promise<WebSocket>; readonly closed: Promise<number> }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const closed = new Promise<number>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('close', resolve);
      socket.on('message', () => socket.send(answer));
    });
  });
  return {
    closed,
    async dial() {
      const socket = new WebSocket(`ws://127.0.0.1:${portOf(server)}`);
      await once(socket, 'open');
      return socket;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

test.run();

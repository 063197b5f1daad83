import { getEventListeners } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toBuffer } from '../../shared/channel.ts';
import { dial, onceOpen } from '../../shared/dial.ts';
import { httpServer } from '../support/http-server.ts';
import { socketServer } from '../support/web-sockets.ts';
import { until } from '../support/until.ts';

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

test('a dialed socket carries token and query, and the first message is not missed', async () => {
  const paths: string[] = [];
  await using server = await socketServer((socket, path) => {
    paths.push(path);
    socket.send('first');
  });
  const { signal } = new AbortController();
  const socket = dial('/v1/x', { coordinator: server.url, token: 't', query: { id: 'a b&c' } });
  const first = await onceOpen(
    socket,
    () => new Promise((resolve) => socket.once('message', (data) => resolve(toBuffer(data).toString()))),
    signal,
  );
  assert.is(first, 'first');
  assert.equal(paths, ['/v1/x?id=a+b%26c']);
  socket.terminate();
});

test('dials that fail leave no listener on the signal that ends them all', async () => {
  await using refusing = await httpServer((_request, response) => void response.writeHead(401).end());
  const { signal } = new AbortController();
  for (let round = 0; round < 5; round++) {
    const socket = dial('/', { coordinator: refusing.url, token: undefined });
    const outcome = await onceOpen(socket, async () => 'open', signal).catch(String);
    assert.match(outcome, 'Unexpected server response');
  }
  assert.is(listeners(signal), 0);
  await using server = await socketServer((socket) => socket.close());
  const socket = dial('/', { coordinator: server.url, token: undefined });
  await onceOpen(socket, async () => 'open', signal);
  assert.is(listeners(signal), 0);
});

test('an abort ends a dial that nobody answers', async () => {
  await using silent = await httpServer(() => {});
  const controller = new AbortController();
  const socket = dial('/', { coordinator: silent.url, token: undefined });
  const outcome = onceOpen(socket, async () => 'open', controller.signal).catch(() => 'ended');
  controller.abort();
  assert.is(await outcome, 'ended');
  await until(() => socket.readyState === socket.CLOSED);
  const late = dial('/', { coordinator: silent.url, token: undefined });
  assert.is(await onceOpen(late, async () => 'open', controller.signal).catch(() => 'ended'), 'ended');
});

test.run();

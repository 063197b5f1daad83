import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { closeOf } from '../../support/web-sockets.ts';
import { until } from '../../support/until.ts';

const upgrade = [
  'Host: farm',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
];

/** The first line of the answer to an upgrade with these headers. */
async function statusOf(
  running: RunningCoordinator,
  path: string,
  headers: readonly string[] = [],
): Promise<string> {
  const socket = await raw(running, path, headers);
  const line = (await text(socket)).split('\r\n')[0] ?? '';
  return line;
}

async function raw(running: RunningCoordinator, path: string, headers: readonly string[]): Promise<Socket> {
  const socket = connect(Number(running.url.port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(`${[`GET ${path} HTTP/1.1`, ...upgrade, ...headers].join('\r\n')}\r\n\r\n`);
  return socket;
}

const authorization = `Authorization: Bearer ${testToken}`;

async function lives(running: RunningCoordinator): Promise<boolean> {
  return (await running.ask('/healthz')).status === 200;
}

test('sockets need the token, no web page may have one, and unknown paths lead nowhere', async () => {
  await using running = await runningCoordinator();
  const paths = [
    '/v1/agent',
    '/v1/agent/context',
    '/v1/agent/ssh',
    '/v1/client/context',
    '/v1/client/ssh',
    '/v1/client/tunnel',
  ];
  for (const path of paths) {
    assert.is(await statusOf(running, path), 'HTTP/1.1 401 Unauthorized', path);
    const foreign = [authorization, 'Origin: https://evil.example'];
    assert.is(await statusOf(running, path, foreign), 'HTTP/1.1 403 Forbidden', path);
  }
  assert.is(await statusOf(running, '/v1/other', [authorization]), 'HTTP/1.1 404 Not Found');
});

test('a path that is no URL is not found, and nothing else happens [B1]', async () => {
  await using running = await runningCoordinator();
  for (const path of ['//', '///x', '/%', '*', 'http://[/', '//[::1'])
    assert.match(await statusOf(running, path, [authorization]), /^HTTP\/1\.1 40[04] /, path);
  assert.ok(await lives(running));
});

test('names in queries that mean something elsewhere do no harm [B7]', async () => {
  await using running = await runningCoordinator();
  for (const name of ['error', 'newListener', '__proto__', 'constructor', '']) {
    (await running.connect('/v1/client/ssh', { build: name, ids: name })).close();
    const tunnel = await running.connect('/v1/client/tunnel', { tunnel: name });
    assert.equal(await closeOf(tunnel), { code: 1000, reason: 'nobody waits for this tunnel' });
    (await running.connect('/v1/client/context', { link: name, build: name })).close();
    (await running.connect('/v1/agent/context', { agent: name })).close();
  }
  assert.ok(await lives(running));
});

test('broken and oversized frames end their own connection only [B4]', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const paths = [
    '/v1/agent',
    '/v1/agent/context',
    '/v1/client/context',
    '/v1/client/ssh',
    '/v1/client/tunnel',
  ];
  for (const path of paths) {
    const broken = await raw(running, path, [authorization]);
    // A frame with reserved bits, as no client sends it; the server answers with a close frame and hangs up.
    broken.write(Buffer.from([0xff, 0x80, 0, 0, 0, 0]));
    broken.resume();
    broken.end();
    await once(broken, 'close');
    const large = await running.connect(path);
    large.send('x'.repeat(2 * 1024 * 1024));
    await closeOf(large);
  }
  agent.send({ type: 'beat', state: 'ready' });
  await agent.wait('beat');
  assert.ok(await lives(running));
});

test('an ssh tunnel needs a build that goes on', async () => {
  await using running = await runningCoordinator();
  await running.connect('/v1/client/ssh', { build: 'nobuild', ids: 'default' });
  const path = '/v1/agent/ssh?attempt=nobuild/linux/amd64/1&id=default';
  assert.is(await statusOf(running, path, [authorization]), 'HTTP/1.1 404 Not Found');
  assert.is(await statusOf(running, '/v1/agent/ssh', [authorization]), 'HTTP/1.1 404 Not Found');
});

test('a coordinator stops in time though a peer does not answer its close', async () => {
  await using running = await runningCoordinator();
  for (const path of ['/v1/agent/context', '/v1/client/context', '/v1/client/ssh']) {
    const socket = await running.connect(path);
    socket.pause();
  }
  const start = performance.now();
  await running.coordinator.close();
  const took = performance.now() - start;
  assert.ok(took < 5000, `it took ${Math.round(took)} ms`);
});

test('a coordinator that stops tells its agents to dial again', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const closed = closeOf(agent.socket);
  await running.coordinator.close();
  assert.equal(await closed, { code: 1012, reason: 'the coordinator stops' });
  await until(() => agent.socket.readyState === agent.socket.CLOSED);
});

test.run();

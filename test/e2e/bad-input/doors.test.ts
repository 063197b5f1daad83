/** Who comes to a coordinator and says nothing that it could serve, again and again, while others work. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { dial } from '../../../shared/dial.ts';
import { toBuffer } from '../../../shared/channel.ts';
import { decodeToAgent } from '../../../shared/codec.ts';
import { ask } from '../../support/http-request.ts';
import { plainRecords, plainSpec } from '../../support/neighbour.ts';
import { sampleHello } from '../../support/sample-messages.ts';
import { until } from '../../support/until.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

const farm = await watchedFarm();
const port = Number(farm.url.port);

async function connection(): Promise<Socket> {
  // Any address but the usual one of this machine, as from another host.
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

const upgrade = ['Host: 127.0.0.1', 'Connection: Upgrade', 'Upgrade: websocket'];
const version = 'Sec-WebSocket-Version: 13';
const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
const agent = 'GET /v1/agent HTTP/1.1';

const requests: readonly [what: string, lines: readonly string[], answer: RegExp][] = [
  ['garbage', ['\u0016\u0003\u0001\u0002', ''], /^HTTP\/1\.1 400 /],
  ['another protocol', ['SSH-2.0-OpenSSH_9.2'], /^HTTP\/1\.1 400 /],
  ['no upgrade', [agent, 'Host: 127.0.0.1', 'Connection: close'], /^HTTP\/1\.1 404 /],
  ['no key', [agent, ...upgrade, version], /^HTTP\/1\.1 400 /],
  ['another version', [agent, ...upgrade, key, 'Sec-WebSocket-Version: 7'], /^HTTP\/1\.1 4(00|26) /],
  ['a path that is none', ['GET /v1/nowhere HTTP/1.1', ...upgrade, version, key], /^HTTP\/1\.1 404 /],
  ['a path that is no URL', ['GET //[::1 HTTP/1.1', ...upgrade, version, key], /^HTTP\/1\.1 40[04] /],
  ['endless headers', [agent, ...upgrade, `X: ${'x'.repeat(60_000)}`], /^HTTP\/1\.1 431 /],
];

const nothing: (typeof requests)[number] = ['', [], /^$/];

test('what is no request, no upgrade or for no path is answered as such, and hung up on [B1]', () =>
  farm.unharmed({ rounds: 100 }, async (round) => {
    const [what, lines, answer] = requests[round % requests.length] ?? nothing;
    const socket = await connection();
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    assert.match(await text(socket), answer, what);
  }));

test('connections that say nothing or drip are dropped in 5 s, and keep nobody out [B2]', () =>
  // All of one round, so that none waits for the time of another.
  farm.unharmed({ rounds: 300, first: 0, atOnce: 300 }, async (round) => {
    const socket = await connection();
    // An end, or a reset where there are too many.
    const closed = new Promise((resolve) => void socket.resume().once('close', resolve));
    const started = performance.now();
    if (round % 2 === 1) {
      socket.write('GET /v1/agent HTTP/1.1\r\nX: ');
      const drip = setInterval(() => socket.write('x'), 500);
      socket.once('close', () => clearInterval(drip));
    }
    if (round % 100 === 99) {
      assert.is((await ask(new URL('/healthz', farm.url))).status, 200);
      assert.ok(performance.now() - started < 2000, 'somebody else waits for long');
    }
    await closed;
    assert.ok(performance.now() - started < 10_000, 'it was kept for long');
  }));

test('an agent that takes no offer costs its builds alone, and is named in them [B11]', async () => {
  const silent = dial('/v1/agent', { coordinator: farm.url, token: undefined, trust: {} });
  await once(silent, 'open');
  const offered = new Set<string>();
  silent.on('message', (data) => {
    const message = decodeToAgent(toBuffer(data));
    if (message.type === 'offer') offered.add(message.attempt.split('/')[0] ?? '');
  });
  const platforms = [{ platform: 'linux/s390x', native: true }];
  silent.send(
    JSON.stringify(sampleHello({ name: 'silent', session: 'silent-session', platforms, slots: 64 })),
  );
  const spec = plainSpec({ platforms: ['linux/s390x'], tags: [`${farm.registry}/onap/silent`] });
  const body = { spec, directories: plainRecords };
  await farm.unharmed({ rounds: 60 }, async () => {
    const submitted = await ask(new URL('/v1/builds', farm.url), { method: 'POST', body });
    const { build } = v.parse(v.object({ build: v.string() }), submitted.body);
    await until(() => offered.delete(build), { what: `${build} is offered` });
    const at = new URL(`/v1/builds/${build}`, farm.url);
    await ask(new URL(`${at.pathname}/cancel`, farm.url), { method: 'POST' });
    const ended = await until(async () => {
      const shown = JSON.stringify((await ask(at)).body);
      return shown.includes('"status":"cancelled"') && shown;
    });
    assert.match(ended, '"agent":"silent"');
  });
  silent.terminate();
});

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
});

test.run();

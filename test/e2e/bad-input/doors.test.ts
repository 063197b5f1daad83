/** Who comes to a coordinator and says nothing that it could serve, again and again, while others work. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { BuildSpec } from '../../../coordinator/project/spec.ts';
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
const builds = new URL('/v1/builds', farm.url);
const spec = plainSpec({ platforms: ['linux/s390x'], tags: [`${farm.registry}/onap/hostile`] });

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
  await farm.unharmed({ rounds: 30 }, async () => {
    const submitted = await ask(builds, { method: 'POST', body: bodyOf({}) });
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

/** Each with what is said of it. */
const submissions: Readonly<Record<string, readonly (readonly [body: unknown, says: RegExp])[]>> = {
  'references that are none [R1]': [
    'Onap/App',
    'a b',
    'app:tag:tag',
    `app:${'x'.repeat(129)}`,
    ':5000/app',
    'localhost/../x',
    '',
    'app@sha256:short',
    'x'.repeat(10_000),
    '\u001b[2J',
  ].map((tag) => [bodyOf({ tags: [tag] }), /tags\.0: |reference|names a digest/] as const),
  'keys and values that are none [C2]': [
    [{ ...bodyOf({}), secret: {} }, /secret: /],
    [{ spec: { ...spec, contxt: {} } }, /spec\.contxt: /],
    // Refused as a whole by who reads it, before there is a field to name.
    [JSON.stringify(bodyOf({})).replace('"args":{', '"args":{"__proto__":"x",'), /not valid JSON/],
    [bodyOf({ platforms: ['linux/../x'] }), /linux\/\.\.\/x/],
    [bodyOf({ priority: 1e300 }), /spec\.priority: /],
    [{ ...bodyOf({}), directories: ['*'] }, /directories\.0: not base64/],
    ['{"spec":', /JSON/],
    [`{"spec":${'['.repeat(100_000)}`, /JSON|nested/],
  ],
};

function bodyOf(change: Partial<BuildSpec>): object {
  return { spec: { ...spec, ...change }, directories: plainRecords };
}

for (const [what, cases] of Object.entries(submissions)) {
  test(`a client submits ${what}`, () =>
    farm.unharmed({ rounds: 48 }, async (round) => {
      const [body, says] = cases[round % cases.length] ?? [undefined, /^$/];
      const headers = { 'content-type': 'application/json' };
      const { status, body: answer } = await ask(builds, { method: 'POST', body, headers });
      const told = JSON.stringify(answer);
      assert.is(status, 400, `${JSON.stringify(body).slice(0, 200)}: ${told}`);
      assert.match(told, says, told);
      assert.ok(told.length < 2000, 'an endless message');
    }));
}

test('a build asks for what no agent allows, or for a frontend of strangers [D3, D4]', async () => {
  const asks: readonly (readonly [Partial<BuildSpec>, says: string])[] = [
    [{ network: 'host' }, 'neighbour refuses network-host'],
    [{ extraHosts: ['db:10.0.0.1'] }, 'neighbour refuses extra-hosts'],
    [{ dockerfile: { ...spec.dockerfile, frontend: 'evil.example/front:1' } }, 'evil.example/front:1'],
  ];
  await farm.unharmed({ rounds: 48 }, async (round) => {
    const [change, says] = asks[round % asks.length] ?? [{}, ''];
    const body = bodyOf({ platforms: ['linux/amd64'], waitAgent: 0, ...change });
    const submitted = await ask(builds, { method: 'POST', body });
    const { build } = v.parse(v.object({ build: v.string() }), submitted.body, {
      message: JSON.stringify(submitted.body),
    });
    const ended = await until(async () => {
      const shown = JSON.stringify((await ask(new URL(`${builds.pathname}/${build}`, builds))).body);
      return shown.includes('"status":"failed"') && shown;
    });
    assert.match(ended, '"code":"policy-refused"');
    assert.match(ended, says);
  });
});

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
});

test.run();

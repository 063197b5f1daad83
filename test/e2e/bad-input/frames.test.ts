/** Frames that no WebSocket library would send, and messages that no agent would, at the agent's door, while another agent is there. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { sampleHello } from '../../support/sample-messages.ts';

const upgrade = [
  'GET /v1/agent HTTP/1.1',
  'Host: farm',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  `Authorization: Bearer ${testToken}`,
];

/** Masked with zeroes, which leaves the content as it is. `first`: FIN, reserved bits, opcode. */
function frame(first: number, content: Buffer | string = '', masked = true): Buffer {
  const bytes = Buffer.from(content);
  const length =
    bytes.length < 126 ? Buffer.of(bytes.length) : Buffer.of(126, bytes.length >> 8, bytes.length & 255);
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0);
  return Buffer.concat([Buffer.of(first), length, Buffer.alloc(masked ? 4 : 0), bytes]);
}

/** The code and reason of the close that they are answered with; undefined where the connection just ended. */
async function closeAfter(running: RunningCoordinator, frames: Buffer): Promise<string | undefined> {
  const socket = connect(Number(running.url.port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  const answer = buffer(socket).catch(() => Buffer.alloc(0));
  socket.write(`${upgrade.join('\r\n')}\r\n\r\n`);
  socket.end(frames);
  const bytes = await answer;
  const close = bytes.indexOf(Buffer.of(0x88), bytes.indexOf('\r\n\r\n') + 4);
  const said = bytes.subarray(close + 4, close + 2 + ((bytes[close + 1] ?? 0) & 0x7f));
  return close === -1 ? undefined : `${bytes.readUInt16BE(close + 2)} ${said.toString()}`;
}

const beat = '{"type":"beat","state":"ready"}';
const empty = Buffer.concat([frame(0x01), ...Array.from({ length: 131_072 }, () => frame(0x00))]);
const cases: readonly [what: string, frames: Buffer, code: number][] = [
  ['an unmasked frame', frame(0x81, beat, false), 1002],
  ['a reserved bit', frame(0xc1, beat), 1002],
  ['an unknown opcode', frame(0x83, beat), 1002],
  ['a continuation of nothing', frame(0x80, beat), 1002],
  ['a ping of 126 bytes', frame(0x89, Buffer.alloc(126)), 1002],
  ['a ping in pieces', frame(0x09, 'x'), 1002],
  ['text that is no UTF-8', frame(0x81, Buffer.of(0xc3, 0x28)), 1007],
  ['a close with the code 0', frame(0x88, Buffer.of(0, 0)), 1002],
  ['a close with the code 1005', frame(0x88, Buffer.of(3, 0xed)), 1002],
  ['a close of one byte', frame(0x88, 'x'), 1002],
  ['131,072 empty fragments', empty, 1008],
  ['a number without end', frame(0x81, '{"type":"beat","state":"ready","contexts":{"bytes":1e999}}'), 4400],
];

const hello = JSON.stringify(sampleHello({ name: 'hostile', session: 'hostile-session' }));
const withHello = (...texts: string[]): Buffer =>
  Buffer.concat([hello, ...texts].map((text) => frame(0x81, text)));
const attempt = '"attempt":"k2v7q9x3aaaa/linux/amd64/1"';
/** Each with what the close says of it. */
const messages: readonly [text: string | Buffer, code: string][] = [
  // B5
  ['{', '4400 message is not JSON'],
  [`\uFEFF${beat}`, '4400 message is not JSON'],
  [`${beat}\0`, '4400 message is not JSON'],
  ['{"type":"hello","name":"\\ud800"}', '4400 bad message "hello": '],
  [
    withHello(`{"type":"progress",${attempt},"frame":9007199254740993,"events":[]}`),
    '4400 bad message "progress": frame: ',
  ],
  [`{"type":"beat","state":"ready","type":"x"}`, '4405 unknown message "x": coordinator '],
  // B6
  ['['.repeat(60_000), '4400 message nested deeper than 32 levels'],
  // B7
  [
    hello.replace('"labels":{', '"labels":{"__proto__":"x",'),
    '4400 bad message "hello": labels: reserved key',
  ],
  [hello.replace('{', '{"constructor":{},'), '4400 bad message "hello": constructor: '],
  // B8
  [hello.replace(/"protocol":\d+/, '"protocol":0'), '4405 agent speaks protocol 0'],
  [hello.replace(/"protocol":\d+/, '"protocol":999'), '4405 agent speaks protocol 999'],
  [hello.replace(/"protocol":\d+,/, ''), '4400 bad message "hello": protocol: '],
  [withHello('{"type":"explode"}'), '4405 unknown message "explode": coordinator '],
  ['{"type":"explode"}', '4405 unknown message "explode": coordinator '],
  [withHello('{"type":7}'), '4400 bad message: type: '],
  [
    withHello('{"type":"cancel","attempt":"b/linux/amd64/1","reason":""}'),
    '4400 bad message "cancel": type: ',
  ],
  // B9
  [beat, '4400 beat before hello'],
  [withHello(hello), '4400 a second hello'],
  [
    withHello(`{"type":"progress",${attempt},"frame":-1,"events":[]}`),
    '4400 bad message "progress": frame: ',
  ],
  // B12
  [hello.replace('linux/arm64/v8', 'linux/../x'), '4400 bad message "hello": platforms.0.platform: '],
  [
    withHello(`{"type":"selected",${attempt},"tree":"sha256:x","selection":{}}`),
    '4400 bad message "selected": tree: ',
  ],
];

test('messages that are none end their own connection, which is told the field [B5, B6, B7, B8, B9, B12]', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const before = process.memoryUsage.rss();
  for (const [text, code] of messages) {
    const closed = await closeAfter(running, typeof text === 'string' ? frame(0x81, text) : text);
    assert.ok(closed?.startsWith(code), `${text.toString().slice(0, 80)}: ${closed}`);
  }
  assert.ok(process.memoryUsage.rss() - before < 64 * 1024 * 1024);
  agent.send({ type: 'beat', state: 'ready' });
  await agent.wait('beat');
  assert.is(Reflect.get({}, 'x'), undefined);
  assert.is((await running.ask('/healthz')).status, 200);
});

test('frames that no library sends end their own connection; the other agent and the memory stay as they are [B3, B4]', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const before = process.memoryUsage.rss();
  for (const [what, frames, code] of cases) {
    const closed = (await closeAfter(running, frames)) ?? '';
    assert.is(Number(closed.split(' ', 1)[0]), code, what);
  }
  assert.ok(process.memoryUsage.rss() - before < 64 * 1024 * 1024);
  agent.send({ type: 'beat', state: 'ready' });
  await agent.wait('beat');
  assert.is((await running.ask('/healthz')).status, 200);
});

test.run();

/** Frames that no WebSocket library would send, and messages that no agent would, again and again, while another agent works. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleHello } from '../../support/sample-messages.ts';
import { until } from '../../support/until.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

const farm = await watchedFarm();

const upgrade = [
  'GET /v1/agent HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
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
async function closeAfter(frames: Buffer): Promise<string | undefined> {
  const socket = connect(Number(farm.url.port), '127.0.0.1');
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
const hello = JSON.stringify(sampleHello({ name: 'hostile', session: 'hostile-session', platforms: [] }));
const withHello = (...texts: string[]): Buffer =>
  Buffer.concat([hello, ...texts].map((text) => frame(0x81, text)));
const attempt = '"attempt":"k2v7q9x3aaaa/linux/amd64/1"';
const foreign = `"attempt":"${farm.neighbour.build}/linux/amd64/1"`;
const digest = `sha256:${'0'.repeat(64)}`;
const image = `{"imageId":"${digest}","digest":"${digest}","size":SIZE,"timings":{},"sentBytes":0}`;
const report = `{"type":"report",${attempt},"lastFrame":0,"outcome":{"status":"pushed","image":${image}}}`;

interface Row {
  readonly rounds: number;
  /** Text is one message. */
  readonly cases: readonly [what: string, said: string | Buffer, close: string][];
}

/** A text each, and what its close says; what it is called is what it says. */
function messages(...cases: readonly [said: string | Buffer, close: string][]): Row {
  return { rounds: 60, cases: cases.map(([said, close]) => [said.toString(), said, close]) };
}

const rows: Readonly<Record<string, Row>> = {
  'frames that no library sends [B3]': {
    rounds: 60,
    cases: [
      ['a reserved bit', frame(0xc1, beat), '1002'],
      ['an unknown opcode', frame(0x83, beat), '1002'],
      ['a continuation of nothing', frame(0x80, beat), '1002'],
      ['a ping in pieces', frame(0x09, 'x'), '1002'],
      ['a close of one byte', frame(0x88, 'x'), '1002'],
    ],
  },
  'frames that are unmasked, too large, no text or no close [B4]': {
    rounds: 60,
    cases: [
      ['an unmasked frame', frame(0x81, beat, false), '1002'],
      ['a ping of 126 bytes', frame(0x89, Buffer.alloc(126)), '1002'],
      ['text that is no UTF-8', frame(0x81, Buffer.of(0xc3, 0x28)), '1007'],
      ['a close with the code 0', frame(0x88, Buffer.of(0, 0)), '1002'],
      ['a close with the code 1005', frame(0x88, Buffer.of(3, 0xed)), '1002'],
      ['a frame of 2^62 bytes', Buffer.from('81ff400000000000000000000000', 'hex'), '1009'],
      ['a frame of 1 MiB and one', Buffer.from('81ff000000000010000100000000', 'hex'), '1009'],
    ],
  },
  '131,072 empty fragments of one message [B4]': { rounds: 6, cases: [['fragments', empty, '1008']] },
  'what is no JSON, or JSON that programs read differently [B5]': messages(
    ['{', '4400 message is not JSON'],
    [`\uFEFF${beat}`, '4400 message is not JSON'],
    [`${beat}\0`, '4400 message is not JSON'],
    ['{"type":"hello","name":"\\ud800"}', '4400 bad message "hello": '],
    ['{"type":"beat","state":"ready","contexts":{"bytes":1e999}}', '4400 bad message "beat": contexts.bytes'],
    [
      withHello(`{"type":"progress",${attempt},"frame":9007199254740993,"events":[]}`),
      '4400 bad message "progress": frame: ',
    ],
    ['{"type":"beat","state":"ready","type":"x"}', '4405 unknown message "x": coordinator '],
  ),
  'nesting without end [B6]': messages(
    ['['.repeat(60_000), '4400 message nested deeper than 32 levels'],
    ['{"type":'.repeat(8000), '4400 message nested deeper than 32 levels'],
  ),
  'keys that JavaScript reserves [B7]': messages(
    [
      hello.replace('"labels":{', '"labels":{"__proto__":"x",'),
      '4400 bad message "hello": labels: reserved key',
    ],
    [hello.replace('{', '{"constructor":{},'), '4400 bad message "hello": constructor: '],
    [hello.replace('{', '{"__proto__":{"state":"ready"},'), '4400 bad message "hello": __proto__: '],
  ),
  'kinds of messages and versions that nobody knows [B8]': messages(
    [hello.replace(/"protocol":\d+/, '"protocol":0'), '4405 agent speaks protocol 0'],
    [hello.replace(/"protocol":\d+/, '"protocol":999'), '4405 agent speaks protocol 999'],
    [hello.replace(/"protocol":\d+,/, ''), '4400 bad message "hello": protocol: '],
    [withHello('{"type":"explode"}'), '4405 unknown message "explode": coordinator '],
    ['{"type":"explode"}', '4405 unknown message "explode": coordinator '],
    [withHello('{"type":7}'), '4400 bad message: type: '],
    [withHello(`{"type":"cancel",${attempt},"reason":""}`), '4400 bad message "cancel": type: '],
  ),
  'messages out of order [B9]': messages(
    [beat, '4400 beat before hello'],
    [withHello(hello), '4400 a second hello'],
    [
      withHello(`{"type":"progress",${attempt},"frame":-1,"events":[]}`),
      '4400 bad message "progress": frame: ',
    ],
    // Of a build of another agent, and of none: neither has an effect, and the close is that of the line after it.
    [withHello(report.replace('SIZE', '1').replace(attempt, foreign), '{'), '4400 message is not JSON'],
    [withHello(`{"type":"progress",${foreign},"frame":9,"events":[]}`, '{'), '4400 message is not JSON'],
    [
      withHello(`{"type":"ask",${foreign},"ask":1,"question":{"kind":"push-auth"}}`, '{'),
      '4400 message is not JSON',
    ],
    [withHello(report.replace('SIZE', '1'), '{'), '4400 message is not JSON'],
  ),
  'digests, sizes and platforms that are none [B12]': messages(
    [
      hello.replace('"platforms":[', '"platforms":[{"platform":"linux/../x","native":true}'),
      '4400 bad message "hello": platforms.0.platform: ',
    ],
    [
      withHello(`{"type":"selected",${attempt},"tree":"sha256:x","selection":{}}`),
      '4400 bad message "selected": tree: ',
    ],
    [withHello(report.replace('SIZE', '-1')), '4400 bad message "report": outcome.image.size: '],
    [withHello(report.replace('SIZE', `${2 ** 60}`)), '4400 bad message "report": outcome.image.size: '],
  ),
};

const nothing: Row['cases'][number] = ['', '', ''];

for (const [what, { rounds, cases }] of Object.entries(rows)) {
  test(`an agent says ${what}`, () =>
    farm.unharmed({ rounds }, async (round) => {
      const [name, said, close] = cases[round % cases.length] ?? nothing;
      const closed = await closeAfter(typeof said === 'string' ? frame(0x81, said) : said);
      assert.ok(closed?.startsWith(close), `${name.slice(0, 80)}: ${closed}`);
    }));
}

test('an agent says 6,000 things at once, and is heard no faster than it may talk [B10]', async () => {
  const beats = Buffer.concat(Array.from({ length: 6_000 }, () => frame(0x81, beat)));
  const answer = Buffer.from('{"type":"beat"}');
  await farm.unharmed({ rounds: 5, atOnce: 1 }, async () => {
    const socket = connect(Number(farm.url.port), '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    const started = performance.now();
    let answers = 0;
    socket.on('data', (bytes: Buffer) => {
      for (let at = bytes.indexOf(answer); at !== -1; at = bytes.indexOf(answer, at + 1)) answers += 1;
    });
    socket.write(`${upgrade.join('\r\n')}\r\n\r\n`);
    socket.write(Buffer.concat([frame(0x81, hello), beats]));
    await until(() => answers > 350, { what: 'the first are answered' });
    // What a socket has read already comes after it was told to pause.
    const most = 400 + 0.2 * (performance.now() - started) + 2000;
    assert.ok(answers < most, `${answers} of at most ${Math.round(most)}`);
    socket.destroy();
  });
});

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
});

test.run();

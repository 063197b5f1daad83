import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Channel, clipReason } from '../../shared/channel.ts';
import { decodeToCoordinator } from '../../shared/codec.ts';
import { closeCodes, limits, type ToAgent, type ToCoordinator } from '../../shared/messages.ts';
import { closeOf, socketPair, type SocketPair } from '../support/web-sockets.ts';
import { until } from '../support/until.ts';

interface Heard {
  readonly channel: Channel<ToCoordinator, ToAgent>;
  readonly messages: ToCoordinator[];
  readonly closes: { code: number; reason: string }[];
  bytesHeard: number;
}

/** The channel of the coordinator's end. */
function listen({ server }: SocketPair): Heard {
  const messages: ToCoordinator[] = [];
  const closes: { code: number; reason: string }[] = [];
  const heard: Heard = {
    channel: new Channel<ToCoordinator, ToAgent>(server, {
      decode: decodeToCoordinator,
      message: (message) => void messages.push(message),
      heard: () => (heard.bytesHeard += 1),
      closed: (code, reason) => void closes.push({ code, reason }),
    }),
    messages,
    closes,
    bytesHeard: 0,
  };
  return heard;
}

const beat = JSON.stringify({ type: 'beat', state: 'ready' });

test('messages go both ways, and pings count as signs of life', async () => {
  await using pair = await socketPair();
  const heard = listen(pair);
  const answered = once(pair.client, 'message');
  pair.client.send(beat);
  pair.client.ping();
  heard.channel.send({ type: 'beat' });
  const [answer]: unknown[] = await answered;
  assert.is(String(answer), '{"type":"beat"}');
  await until(() => heard.bytesHeard === 2);
  assert.equal(heard.messages, [{ type: 'beat', state: 'ready' }]);
  assert.ok(heard.channel.open);
});

test('the first bad frame closes the connection, saying what is wrong', async () => {
  const golden: [frame: string | Buffer, reason: string, code?: number][] = [
    ['{"type":', 'message is not JSON'],
    ['{"type":"halt"}', 'unknown message "halt": coordinator ', closeCodes.version],
    ['{"type":"cancel"}', 'bad message "cancel": type: Invalid type: Expected'],
    ['{"type":"beat","state":1}', 'bad message "beat": state: Invalid type: Expected'],
    ['['.repeat(40), 'message nested deeper than 32 levels'],
    [Buffer.from(beat), 'binary frame on the control connection'],
  ];
  for (const [frame, reason, code = closeCodes.malformed] of golden) {
    await using pair = await socketPair();
    const heard = listen(pair);
    const closed = closeOf(pair.client);
    pair.client.send(frame);
    pair.client.send(beat);
    const close = await closed;
    assert.is(close.code, code);
    assert.ok(close.reason.startsWith(reason), close.reason);
    await until(() => heard.closes.length > 0);
    assert.equal(heard.closes, [close]);
    assert.equal(heard.messages, []);
    assert.not(heard.channel.open);
  }
});

test('a peer that talks too fast is read no faster than it may talk, and cut when it goes on [B10]', async () => {
  await using pair = await socketPair();
  const messages: ToCoordinator[] = [];
  const pace = { messages: 1000, burst: 100, bytes: 1e9, byteBurst: 1e9, patience: 400 };
  const started = performance.now();
  const channel = new Channel<ToCoordinator, ToAgent>(pair.server, {
    decode: decodeToCoordinator,
    message: (message) => void messages.push(message),
    pace: { limits: pace, isOutput: ({ type }) => type === 'progress' },
    closed: () => {},
  });
  const closed = closeOf(pair.client);
  const reason = 'x'.repeat(1000);
  // More than the buffers between the two hold.
  for (let count = 0; count < 50_000; count += 1) {
    pair.client.send(JSON.stringify({ type: 'beat', state: 'ready', reason }));
  }
  const { code, reason: why } = await closed;
  assert.is(code, closeCodes.policy);
  assert.is(why, 'too many messages for too long');
  assert.not(channel.open);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(messages.length < 100 + 1000 * seconds + 200, `${messages.length} in ${seconds} s`);
});

test('a message above the limit closes the connection as too big, and one at the limit does not [B4]', async () => {
  await using pair = await socketPair();
  const heard = listen(pair);
  const start = '{"type":"beat","state":"ready","reason":"';
  pair.client.send(beat.padEnd(limits.message, ' '));
  await until(() => heard.messages.length === 1);
  const closed = closeOf(pair.client);
  pair.client.send(`${start}${'x'.repeat(limits.message)}"}`);
  assert.is((await closed).code, 1009);
  await until(() => heard.closes.length > 0);
  assert.is(heard.messages.length, 1);
});

test('a peer that does not read is cut when too much waits for it', async () => {
  await using pair = await socketPair();
  const heard = listen(pair);
  pair.client.pause();
  const reason = 'x'.repeat(100_000);
  let sent = 0;
  await until(
    async () => {
      for (let index = 0; index < 50 && heard.channel.open; index++, sent++)
        heard.channel.send({ type: 'cancel', attempt: 'b/linux/amd64/1', reason });
      return !heard.channel.open;
    },
    { what: 'the channel closes' },
  );
  assert.ok(sent * reason.length < limits.outgoing * 2, `${sent} messages were taken`);
  await until(() => heard.closes.length > 0, { timeout: 5000, what: 'the socket is closed' });
  assert.equal(heard.closes, [{ code: closeCodes.slow, reason: `${limits.outgoing} bytes wait to be read` }]);
});

test('after its close a channel takes and sends nothing more', async () => {
  await using pair = await socketPair();
  const heard = listen(pair);
  const messages: unknown[] = [];
  pair.client.on('message', (data) => messages.push(data));
  const closed = closeOf(pair.client);
  heard.channel.close(1000, 'done');
  heard.channel.close(closeCodes.malformed, 'a second reason');
  heard.channel.send({ type: 'beat' });
  pair.client.send(beat);
  assert.equal(await closed, { code: 1000, reason: 'done' });
  assert.equal(messages, []);
  assert.equal(heard.messages, []);
});

test('a peer that vanishes is told apart from one that closes', async () => {
  await using pair = await socketPair();
  const heard = listen(pair);
  pair.client.terminate();
  await until(() => heard.closes.length > 0);
  assert.equal(heard.closes, [{ code: 1006, reason: '' }]);
});

test('a reason is clipped to what a close frame holds, without breaking a character', () => {
  assert.is(clipReason('short'), 'short');
  assert.is(clipReason('x'.repeat(200)).length, 123);
  for (const character of ['é', '日', '🍓']) {
    for (const shift of ['', 'a', 'ab', 'abc']) {
      const clipped = clipReason(shift + character.repeat(100));
      assert.ok(Buffer.byteLength(clipped) <= 123);
      assert.ok(Buffer.byteLength(clipped) > 119);
      assert.not.match(Buffer.from(clipped).toString('utf8'), '\uFFFD');
    }
  }
});

test.run();

/** Frames that no WebSocket library would send, at the agent's door, while another agent is there. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';

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

/** The code of the close that they are answered with; undefined where the connection just ended. */
async function closeAfter(running: RunningCoordinator, frames: Buffer): Promise<number | undefined> {
  const socket = connect(Number(running.url.port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  const answer = buffer(socket).catch(() => Buffer.alloc(0));
  socket.write(`${upgrade.join('\r\n')}\r\n\r\n`);
  socket.end(frames);
  const bytes = await answer;
  const close = bytes.indexOf(Buffer.of(0x88), bytes.indexOf('\r\n\r\n') + 4);
  return close === -1 ? undefined : bytes.readUInt16BE(close + 2);
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

test('each ends its own connection with a code; the other agent and the memory stay as they are', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const before = process.memoryUsage.rss();
  for (const [what, frames, code] of cases) assert.is(await closeAfter(running, frames), code, what);
  assert.ok(process.memoryUsage.rss() - before < 64 * 1024 * 1024);
  agent.send({ type: 'beat', state: 'ready' });
  await agent.wait('beat');
  assert.is((await running.ask('/healthz')).status, 200);
});

test.run();

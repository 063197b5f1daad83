import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveGrpc } from '../../../agent/engine/grpc.ts';
import { Deferred } from '../../../shared/context/deferred.ts';
import { connectEngine } from './sync-receiver.ts';

/** https://www.rfc-editor.org/rfc/rfc9113#name-frame-format */
function frame(type: number, { flags = 0, stream = 0, payload = Buffer.alloc(0) }): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Headers of a call whose request has ended. */
function call(stream: number, path: string): Buffer {
  const headers = { ':method': 'POST', ':scheme': 'http', ':path': path, ':authority': 'session' };
  const literals = Object.entries(headers).map(([name, value]) =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]),
  );
  return frame(1, { flags: 5, stream, payload: Buffer.concat(literals) });
}

function reset(stream: number): Buffer {
  return frame(3, { stream, payload: Buffer.from([0, 0, 0, 8]) });
}

test('calls that the engine ends as it makes them reject nothing, and are no failure', async () => {
  const rejections: unknown[] = [];
  const rejected = (reason: unknown): unknown => rejections.push(reason);
  process.on('unhandledRejection', rejected);
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const failures: Error[] = [];
  const last = new Deferred<void>();
  const serving = serveGrpc(socket, {
    methods: { '/none': async () => {}, '/last': async () => last.resolve(undefined) },
    onError: (error) => failures.push(error),
  });
  const ended = [1, 3, 5, 7].flatMap((stream) => [call(stream, '/none'), reset(stream)]);
  socket.push(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  socket.push(Buffer.concat([frame(4, {}), ...ended, call(9, '/last')]));
  await last.promise;
  await new Promise(setImmediate);
  await serving[Symbol.asyncDispose]();
  process.off('unhandledRejection', rejected);
  assert.equal(rejections.map(String), []);
  assert.equal(failures, []);
});

test('what is sent when the call is over is refused, and keeps nothing of its end from the engine', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const engine = connectEngine(connect(address.port, '127.0.0.1'));
  const [socket] = await accepted;
  // More than the engine takes unread: the end waits behind it.
  const words = Buffer.alloc(200_000, 'words');
  const late = new Deferred<unknown>();
  const serving = serveGrpc(socket, {
    methods: {
      '/late': async (call) => {
        call.post([words]);
        setImmediate(() => {
          call.post([Buffer.from('late')]);
          call.send([Buffer.from('late')]).then(() => late.resolve(undefined), late.resolve.bind(late));
        });
        throw new Error('failed');
      },
    },
    onError: () => {},
  });
  const stream = engine.request({ ':method': 'POST', ':path': '/late' });
  stream.on('end', () => stream.end());
  assert.match(String(await late.promise), /the call is over/);
  const trailers = once(stream, 'trailers');
  const received = await buffer(stream);
  assert.ok(received.subarray(5).equals(words));
  const [{ 'grpc-status': status, 'grpc-message': message }] = await trailers;
  assert.equal({ status, message }, { status: '2', message: 'failed' });
  await serving[Symbol.asyncDispose]();
  engine.destroy();
  server.close();
  await once(server, 'close');
});

test.run();

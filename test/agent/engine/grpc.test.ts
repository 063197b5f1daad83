import { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveGrpc } from '../../../agent/engine/grpc.ts';
import { Deferred } from '../../../shared/context/deferred.ts';

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

test.run();

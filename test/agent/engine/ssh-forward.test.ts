import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveGrpc } from '../../../agent/engine/grpc.ts';
import { writeMessage } from '../../../agent/engine/protobuf.ts';
import { serviceMethods } from '../../../agent/engine/services.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

interface Step extends AsyncDisposable {
  readonly stream: ClientHttp2Stream;
  /** The status that the call ended with. */
  readonly status: Promise<unknown>;
  readonly failures: readonly Error[];
}

/** A step that has sent a question to its ssh agent, as BuildKit does. */
async function startStep(agent: Duplex): Promise<Step> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const incoming = once(server, 'connection');
  const socket = connect(address.port, '127.0.0.1');
  const [served]: Socket[] = await incoming;
  assert.ok(served);
  const failures: Error[] = [];
  const unasked = (): Promise<never> => Promise.reject(new Error('nobody asks for this'));
  const services = { secret: unasked, pullScheme: unasked, pullAuth: unasked, ssh: async () => agent };
  const methods = serviceMethods({ services, secrets: [], ssh: ['default'] });
  const serving = serveGrpc(served, { methods, onError: (error) => failures.push(error) });
  const client = connectHttp2('http://session', { createConnection: () => socket });
  const stream = client.request({
    ':method': 'POST',
    ':path': '/moby.sshforward.v1.SSH/ForwardAgent',
    'buildkit.ssh.id': 'default',
  });
  const status = once(stream, 'trailers').then(([trailers]) => trailers['grpc-status']);
  const question = writeMessage([[1, Buffer.from('question')]]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(question.length, 1);
  stream.write(Buffer.concat([head, question]));
  stream.resume();
  return {
    stream,
    status,
    failures,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await serving[Symbol.asyncDispose]();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The tunnel to an agent, which does this on a question, and ends as it is ended. */
function tunnel(onQuestion: (tunnel: Duplex) => void): Duplex {
  const duplex: Duplex = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      onQuestion(duplex);
      done();
    },
    final(done) {
      duplex.push(null);
      done();
    },
  });
  duplex.on('error', () => {});
  return duplex;
}

test('a step whose ssh agent goes away in mid-use is told, and the build knows why', async () => {
  const ends: ((tunnel: Duplex) => void)[] = [
    (agent) => void agent.push(null),
    (agent) => void agent.destroy(),
    (agent) => void agent.destroy(new Error('the line broke')),
  ];
  for (const end of ends) {
    await using step = await startStep(tunnel(end));
    assert.is(await step.status, '2');
    const [failure] = step.failures;
    assert.ok(failure instanceof ArchfarmError && failure.code === 'client-gone', String(failure));
    assert.match(failure.message, /^ssh agent "default" is not reachable: .* closed while a step used it$/);
  }
});

test('a step that is done with its ssh agent ends its connection without a failure', async () => {
  await using step = await startStep(tunnel((agent) => agent.push('answer')));
  step.stream.end();
  assert.is(await step.status, '0');
  assert.equal(step.failures, []);
});

test.run();

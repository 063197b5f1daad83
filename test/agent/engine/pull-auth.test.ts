import { createPublicKey, verify } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { GrpcError, grpcStatus } from '../../../agent/engine/grpc.ts';
import { bytesField, readFields, textField, writeMessage } from '../../../agent/engine/protobuf.ts';
import { pullAuthMethods, repositoriesOf, type PullAuth } from '../../../agent/engine/pull-auth.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { RegistryAuth } from '../../../shared/task.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { failureOf, runBuild } from './build-rig.ts';

const bearer: RegistryAuth = { type: 'bearer', token: 'a.b.c', lifetime: 299_700 };
const basic: RegistryAuth = { type: 'basic', username: 'bob', password: 'secret' };

interface Knowing extends PullAuth {
  /** What it was asked, in order. */
  readonly asked: string[];
}

function knowing(answer: (repositories: readonly string[]) => RegistryAuth): Knowing {
  const asked: string[] = [];
  return {
    asked,
    async pullScheme(host) {
      asked.push(`scheme of ${host}`);
      return answer([]).type;
    },
    async pullAuth({ host, repositories }) {
      asked.push(`${host} ${repositories.join()}`);
      return answer(repositories);
    },
  };
}

/** Calls a method as the engine does; the answer's message. */
async function call(methods: ReturnType<typeof pullAuthMethods>, name: string, request: Buffer) {
  const sent: Buffer[] = [];
  await methods[`/moby.filesync.v1.Auth/${name}`]?.({
    signal: new AbortController().signal,
    messages: (async function* () {
      yield request;
    })(),
    metadata: () => [],
    send: async (messages) => void sent.push(...messages.flat()),
    post: (messages) => void sent.push(...messages.flat()),
  });
  assert.is(sent.length, 1, `${name} is not there`);
  return sent[0] ?? Buffer.of();
}

/** The status that it ends with. */
async function refusal(answer: Promise<Buffer>): Promise<number | undefined> {
  const thrown: unknown = await answer.catch((error: unknown) => error);
  return thrown instanceof GrpcError ? thrown.status : undefined;
}

const host = writeMessage([[1, 'registry.lab']]);

function tokenRequest(...scopes: readonly string[]): Buffer {
  return writeMessage([
    [1, 'buildkit-client'],
    [2, 'registry.lab'],
    [3, 'https://evil.example/token'],
    [4, 'service'],
    ...scopes.map((scope) => [5, scope] as const),
  ]);
}

test('a registry that takes tokens gets no password, and its tokens belong to whoever has the key', async () => {
  const auth = knowing(() => bearer);
  const methods = pullAuthMethods(auth);
  assert.is(await refusal(call(methods, 'Credentials', host)), grpcStatus.permissionDenied);

  const key = bytesField(await call(methods, 'GetTokenAuthority', host), 1);
  assert.is(key.length, 32);
  const payload = Buffer.from('0123456789abcdef0123456789abcdef');
  const proof = await call(
    methods,
    'VerifyTokenAuthority',
    writeMessage([
      [1, 'registry.lab'],
      [2, payload],
      [3, 'salt'],
    ]),
  );
  const signed = bytesField(proof, 1);
  assert.equal(signed.subarray(64), payload);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: key.toString('base64url') };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  assert.ok(verify(null, payload, publicKey, signed.subarray(0, 64)));
  const other = bytesField(await call(pullAuthMethods(auth), 'GetTokenAuthority', host), 1);
  assert.not.equal(other, key);
});

test('a token is asked for by its repositories, and says how long it is good', async () => {
  const auth = knowing(() => bearer);
  const methods = pullAuthMethods(auth);
  const answer = await call(methods, 'FetchToken', tokenRequest('repository:team/base:pull'));
  assert.is(textField(answer, 1), 'a.b.c');
  const numbers = [...readFields(answer)].filter(({ number }) => number > 1).map(({ integer }) => integer);
  assert.is(numbers[0], 299n);
  assert.ok(Math.abs(Number(numbers[1]) - Date.now() / 1000) < 5, String(numbers[1]));
  assert.equal(auth.asked, ['registry.lab team/base']);
});

test('a registry with Basic authentication gets user and password, and no token', async () => {
  const methods = pullAuthMethods(knowing(() => basic));
  const found = await call(methods, 'Credentials', host);
  assert.equal([textField(found, 1), textField(found, 2)], ['bob', 'secret']);
  assert.is(await refusal(call(methods, 'GetTokenAuthority', host)), grpcStatus.unimplemented);
  assert.is(await refusal(call(methods, 'FetchToken', tokenRequest())), grpcStatus.unimplemented);
});

test('for a host without credentials the engine is left to itself', async () => {
  const auth = knowing(() => ({ type: 'anonymous' }));
  const methods = pullAuthMethods(auth);
  assert.is((await call(methods, 'Credentials', host)).length, 0);
  assert.is(await refusal(call(methods, 'GetTokenAuthority', host)), grpcStatus.unimplemented);
  assert.equal(auth.asked, ['scheme of registry.lab', 'scheme of registry.lab']);
});

test('scopes are read for the repositories in them', () => {
  const scopes = [
    'repository:a/b:pull repository:c:pull,push',
    'repository(plugin):d:pull',
    'registry:catalog:*',
    'repository:a/b:*',
    'nonsense',
    '',
  ];
  assert.equal(repositoriesOf(tokenRequest(...scopes)), ['a/b', 'c', 'd']);
  assert.equal(repositoriesOf(tokenRequest()), []);
});

test('an engine that asks for a private base shows the token, which every build asks for anew', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using rig = await startEngine({ name: 'pull-auth' });
  await using data = await temporaryDirectory();
  const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
  const token = (...scopes: string[]): RegistryAuth => ({ type: 'bearer', token: tokens.issue(scopes) });

  const dockerfile = `FROM ${registry.host}/team/base:none`;
  const nobody = knowing(() => ({ type: 'anonymous' }));
  const alone = await failureOf(runBuild(engine, { dockerfile, services: nobody }));
  assert.is(alone.code, 'registry-denied', alone.message);
  assert.match(alone.message, `pull of ${registry.host}/team/base:none was denied: `);
  assert.equal(tokens.asked.splice(0), [['repository:team/base:pull']]);

  const services = knowing((repositories) => token(...repositories.map((name) => `repository:${name}:pull`)));
  const missing = await failureOf(runBuild(engine, { dockerfile, services }));
  assert.is(missing.code, 'build-failed');
  assert.match(missing.message, 'not found');
  const first = services.asked.splice(0);
  assert.ok(first.includes(`${registry.host} team/base`), first.join('\n'));
  await failureOf(runBuild(engine, { dockerfile, services }));
  assert.equal(services.asked, first);
  assert.equal(tokens.asked, []);

  const strangers = knowing(() => token('repository:team/other:pull'));
  const denied = await failureOf(runBuild(engine, { dockerfile, services: strangers }));
  assert.is(denied.code, 'registry-denied', denied.message);
  assert.match(denied.message, `pull of ${registry.host}/team/base:none was denied: `);

  // What an engine was given for one build it does not use for the next.
  const later = await failureOf(runBuild(engine, { dockerfile, services: nobody }));
  assert.is(later.code, 'registry-denied', later.message);
  assert.is(tokens.asked.length, 1);

  const broken = knowing(() => bearer);
  const failing = {
    ...broken,
    pullAuth: () => Promise.reject(new ArchfarmError('registry-unreachable', 'no token server')),
  };
  const error = await failureOf(runBuild(engine, { dockerfile, services: failing }));
  assert.equal([error.code, error.message], ['registry-unreachable', 'no token server']);
});

test.run();
